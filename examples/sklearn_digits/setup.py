from setuptools import find_packages, setup

setup(name="sklearn-digits", version="1.0", packages=find_packages(), install_requires=["scikit-learn"])
