from setuptools import find_packages, setup

setup(name="census-xgboost", version="1.0", packages=find_packages(), install_requires=["pandas", "xgboost"])
