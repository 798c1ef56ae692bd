from setuptools import find_packages, setup

setup(name="pytorch-digits", version="1.0", packages=find_packages(), install_requires=["scikit-learn", "torch"])
