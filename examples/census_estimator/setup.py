from setuptools import find_packages, setup

setup(name="census-estimator", version="1.0", packages=find_packages())
