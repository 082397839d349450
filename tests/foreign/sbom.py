#!/usr/bin/env python3
"""Holds the list of a release to the schema of CycloneDX 1.6, by a validator of others.

    pip install 'cyclonedx-python-lib[json-validation]'
    tests/foreign/sbom.py target/packages/cityhub-VERSION.cdx.json
"""
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = Path(sys.argv[1]).read_text()
validator = JsonStrictValidator(SchemaVersion.V1_6)
if fault := validator.validate_str(text):
    sys.exit(f"not CycloneDX 1.6: {fault}")
# A validator that takes everything shows nothing.
if not validator.validate_str(text.replace('"type": "library"', '"type": "books"', 1)):
    sys.exit("the validator did not see a type that there is not")
print("valid CycloneDX 1.6, strict; a wrong type is seen")
