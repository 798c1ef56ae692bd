"""The description of the API, driven by a generator: whatever is sent, no answer is a fault of the
server and none is outside what the description promises."""
import os
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (content_type_conformance, response_headers_conformance,
                                               response_schema_conformance, status_code_conformance)
from harness.rest import galaxy_v3_headers

DESCRIPTION = Path(__file__).resolve().parents[2] / "docs" / "api" / "openapi.yaml"
EXAMPLES = int(os.environ.get("CLOUDML_SCHEMATHESIS_EXAMPLES", "15"))


class GalaxyAuth(requests.auth.AuthBase):
    """Signs what is really sent."""

    def __init__(self, server):
        self.server = server

    def __call__(self, prepared):
        body = prepared.body or b""
        if isinstance(body, str):
            body = body.encode()
            prepared.body = body
        prepared.headers.update(galaxy_v3_headers(self.server.access_key, self.server.secret_key,
                                                  prepared.path_url, body))
        return prepared


@pytest.fixture(scope="module")
def signed(server):
    with requests.Session() as session:
        session.auth = GalaxyAuth(server)
        yield session


# Preparing a runtime builds it, which takes minutes, and removing one takes it from all tests.
schema = schemathesis.openapi.from_path(DESCRIPTION).exclude(path_regex="/runtimes/")
PROMISES = [not_a_server_error, status_code_conformance,
            content_type_conformance, response_headers_conformance,
            response_schema_conformance]


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case, server, signed):
    case.call_and_validate(base_url=server.url, session=signed, timeout=30, checks=PROMISES)
