"""Gives the published client back what Python's standard library has lost since it was written.

Python imports this module by itself when the folder is on PYTHONPATH. The client's own files stay
as they were published.
"""
import base64
import builtins

if not hasattr(base64, "encodestring"):  # removed in Python 3.9; every signed call needs it
    base64.encodestring = base64.encodebytes
    base64.decodestring = base64.decodebytes

if not hasattr(builtins, "raw_input"):  # renamed in Python 3; `namespace delete` asks by it
    builtins.raw_input = input
