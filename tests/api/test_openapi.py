"""What the API promises in its OpenAPI document, held against what it does."""

from collections.abc import Iterator
from typing import Any

from service.core.change import Condition
from tests.api.ward import Ward, enter, hear, raise_alert, turn

FORMS = {"/api/v1/pumps/{pump_id}/export": "text/csv", "/api/v1/stream": "text/event-stream"}
METHODS = {"get", "put", "post", "delete", "patch"}


def references(part: Any) -> Iterator[str]:
    match part:
        case {"$ref": str(target)}:
            yield target
        case dict():
            for inner in part.values():
                yield from references(inner)
        case list():
            for inner in part:
                yield from references(inner)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method in METHODS & set(methods):
            yield path, method, methods[method]


async def test_the_document_is_whole_and_says_how_everything_is_answered(ward: Ward) -> None:
    document = (await ward.viewer.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert document["openapi"].startswith("3.")
    assert {target.removeprefix("#/components/schemas/") for target in references(document)} == set(schemas)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) > 12
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["description"], where
        if path.startswith("/api/"):
            assert {"HTTPBearer": []} in operation["security"], where
            assert "Retry-After" in operation["responses"]["429"]["headers"], where
            assert {"401", "403", "413", "415", "422", "429", "503"} <= set(operation["responses"]), where
        for status, answer in operation["responses"].items():
            form = "application/problem+json" if int(status) >= 400 else FORMS.get(path, "application/json")
            if path.startswith("/api/"):
                assert list(answer.get("content", {})) == ([] if status == "204" else [form]), f"{where} {status}"


async def test_the_example_of_every_request_is_accepted(ward: Ward) -> None:
    document = (await ward.viewer.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    put = document["paths"]["/api/v1/pumps/{pump_id}"]["put"]["requestBody"]["content"]["application/json"]
    answer = await ward.administrator.put(f"/pumps/{put['example']['pump_id']}", json=put["example"])
    assert answer.status_code == 201, answer.text
    alert_id = await raise_alert(ward, turn(1, Condition.STALL))
    for path, name in (("/endpoints", "NewEndpoint"), ("/alerts/{}/acknowledge", "Note")):
        fields = schemas[name]["properties"]
        example = {field: about["examples"][0] for field, about in fields.items() if "examples" in about}
        answer = await ward.administrator.post(path.format(alert_id), json=example)
        assert answer.is_success, answer.text


async def test_answers_have_the_fields_of_their_schema(ward: Ward) -> None:
    document = (await ward.viewer.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    keys = await enter(ward, "p1")
    await hear(ward, keys["p1"])
    alert_id = await raise_alert(ward, turn(keys["p1"], Condition.STALL))
    for path, name in (
        ("/pumps/p1", "PumpDetail"),
        ("/pumps/p1/readings", "ReadingPage"),
        (f"/alerts/{alert_id}", "AlertDetail"),
    ):
        answer = (await ward.viewer.get(path)).json()
        schema = schemas[name]
        assert set(answer) == set(schema["properties"]), name
        assert set(schema["examples"][0]) <= set(answer), name
    page = (await ward.viewer.get("/alerts")).json()
    assert set(page["items"][0]) == set(schemas["Alert"]["properties"])


async def test_every_body_that_can_be_sent_has_an_example_that_is_whole(ward: Ward) -> None:
    document = (await ward.viewer.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for path, method, operation in operations(document):
        if "requestBody" not in operation:
            continue
        content = operation["requestBody"]["content"]["application/json"]
        example = content["example"] if "example" in content else content["schema"]["examples"][0]
        for target in references(content["schema"]):
            needed = set(schemas[target.rpartition("/")[2]].get("required", ()))
            assert needed <= set(example), f"{method} {path}: {needed - set(example)}"
