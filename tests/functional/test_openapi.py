"""The description of the API against the server: every route is described, every description is true."""
import re
from pathlib import Path

import pytest
import yaml
from harness.rest import PREFIX, send
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

METHODS = ("get", "post", "put", "patch", "delete")
SOURCES = Path(__file__).resolve().parents[2] / "src" / "api"
NO_ROUTE = "there is no such resource"


@pytest.fixture(scope="module")
def served(server):
    answer = send(server.url, "GET", "/openapi.yaml")
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/yaml"
    return answer.body.decode("utf-8")


@pytest.fixture(scope="module")
def document(served):
    return yaml.safe_load(served)


@pytest.fixture(scope="module")
def conforms(document):
    """conforms(value, "TrainJob"): the value is what the schema of that name says."""
    registry = Registry().with_resource("urn:api", Resource(document, DRAFT4))

    def check(value, name):
        schema = {"$ref": f"urn:api#/components/schemas/{name}"}
        errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
                  for e in OAS30Validator(schema, registry=registry).iter_errors(value)]
        assert not errors, f"not a {name}: {errors}"

    return check


def operations(document):
    return {(method.upper(), path) for path, item in document["paths"].items()
            for method in METHODS if method in item}


def example(path):
    """A target for a path of the document: "/train/{job}" → "/train/nothing-of-this-name"."""
    return re.sub(r"\{[a-z]+\}", "nothing-of-this-name", path)


def routes_in_the_sources():
    """What the server's route table is filled with: add("GET", "/…", …), with the prefix of its file."""
    found = set()
    for file in SOURCES.glob("*.cc"):
        text = file.read_text()
        prefix = re.search(r'std::string\("(/[^"]*)"\) \+ rest', text)
        for method, rest in re.findall(r'\badd\("([A-Z]+)", "([^"]*)"', text):
            found.add((method, (prefix.group(1) if prefix else "") + rest))
    return found


def test_the_served_document_is_valid_openapi(document):
    validate(document)
    assert document["openapi"].startswith("3.0.")


def test_it_is_the_document_of_this_source_tree(served):
    assert served == (SOURCES.parents[1] / "docs" / "api" / "openapi.yaml").read_text()


def test_every_route_is_described_and_nothing_else(document):
    routes = routes_in_the_sources()
    assert routes, "no route found in the sources: the pattern above is out of date"
    assert operations(document) - routes == set(), "described, but not there"
    assert routes - operations(document) == set(), "there, but not described"


def test_every_described_operation_is_answered_by_its_route(server, document):
    for method, path in sorted(operations(document)):
        answer = send(server.url, method, example(path))
        assert answer.status != 405, (method, path, answer)
        assert not (answer.status == 404 and NO_ROUTE in answer.message), (method, path, answer)
        item = document["paths"][path][method.lower()]
        signed = item.get("security", document["security"]) != []
        assert (answer.status == 401) == signed, (method, path, answer)
        assert str(answer.status) in item["responses"], (method, path, answer)


def test_a_path_knows_exactly_the_described_methods(server, document):
    for path in document["paths"]:
        described = {method for method, p in operations(document) if p == path}
        other = next(method for method in ("PATCH", "PUT", "DELETE") if method not in described)
        answer = send(server.url, other, example(path))
        assert answer.status == 405, (path, answer)
        assert set(re.split(r",\s*", answer.headers["Allow"])) == described, (path, answer)


def test_a_path_that_is_not_described_is_not_there(rest):
    answer = rest.get("/nothing")
    assert answer.status == 404 and NO_ROUTE in answer.message, answer


def test_the_answers_about_a_job_are_as_described(rest, conforms, job_name):
    created = rest.run(job_name, "echo one; echo two", labels={"team": "vision"}, env={"A": "1"},
                       max_retries=2, disk_limit="1G", wall_time_limit=600)
    conforms(created, "TrainJob")
    conforms(rest.wait(job_name, "completed"), "TrainJob")
    conforms(rest.get(f"/train/{job_name}/events").json(), "Events")
    conforms(rest.get(f"/train/{job_name}/metrics").json(), "Metrics")
    conforms(rest.get(f"/train/{job_name}/logs?lines=1").json(), "Logs")
    conforms(rest.get("/train").json(), "TrainList")
    page = rest.get("/train?limit=1").json()
    conforms(page, "TrainList")
    assert len(page["data"]) == 1
    conforms(rest.get(f"/train/{job_name}/hyperparameters").json(), "Error")
    conforms(rest.get(f"/train/{job_name}/start").json(), "TrainJob")
    conforms(rest.delete(f"/train/{job_name}").json(), "Message")


def test_the_other_answers_are_as_described(server, rest, conforms):
    conforms(rest.get("/framework").json(), "Frameworks")
    conforms(rest.get("/runtimes").json(), "RuntimeList")
    conforms(rest.get("/org_ids").json(), "OrgId")
    conforms(rest.get("/authentication").json(), "Message")
    conforms(rest.get("/quota").json(), "QuotaList")
    conforms(rest.post("/quota", {"org_mail": "a@example.com"}).json(), "QuotaList")
    conforms(send(server.url, "GET", PREFIX + "/org_ids").json(), "Error")


@pytest.mark.parametrize(("fields", "accepted"), [
    ({"job_name": "a", "docker_command": "true"}, True),
    ({"job_name": "a.b-1", "docker_command": "true"}, True),
    ({"job_name": "a"}, False),
    ({"job_name": "A", "docker_command": "true"}, False),
    ({"job_name": "-a", "docker_command": "true"}, False),
    ({"job_name": "a" * 63, "docker_command": "true"}, True),
    ({"job_name": "a" * 64, "docker_command": "true"}, False),
    ({"job_name": "a", "docker_command": "true", "cpu_limit": ".5"}, True),
    ({"job_name": "a", "docker_command": "true", "cpu_limit": "1.234"}, False),
    ({"job_name": "a", "docker_command": "true", "memory_limit": "1.5Gi"}, True),
    ({"job_name": "a", "docker_command": "true", "memory_limit": "8GB"}, False),
    ({"job_name": "a", "docker_command": "true", "gpu_limit": -1}, False),
    ({"job_name": "a", "docker_command": "true", "enable_rank": 2}, False),
    ({"job_name": "a", "docker_command": "true", "max_retries": 100}, True),
    ({"job_name": "a", "docker_command": "true", "max_retries": 101}, False),
    ({"job_name": "a", "docker_command": "true", "wall_time_limit": 31622401}, False),
    ({"job_name": "a", "docker_command": "true", "priority_class": "high"}, False),
    ({"job_name": "a", "docker_command": "true", "labels": {"k": "a b"}}, False),
    ({"job_name": "a", "docker_command": "true", "unheard_of": 1}, True),
])
def test_the_schema_of_a_request_and_the_server_agree(rest, document, fields, accepted):
    registry = Registry().with_resource("urn:api", Resource(document, DRAFT4))
    schema = {"$ref": "urn:api#/components/schemas/TrainRequest"}
    assert OAS30Validator(schema, registry=registry).is_valid(fields) == accepted
    answer = rest.post("/train?dry_run=True", fields)
    assert answer.status == (200 if accepted else 400), answer
