"""Templates: names and nothing else, refused at once if they cannot be JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.template import NAMES, SAMPLE, fill, template_problem, texts_of

LONGEST = 1000
EVERYTHING = json.dumps({name: f"{{{{{name}}}}}" for name in NAMES})


def test_every_name_can_be_used_and_the_sample_fills_all_but_the_marks_of_a_test_and_of_a_drill() -> None:
    assert template_problem(EVERYTHING, LONGEST) == ""
    filled = json.loads(fill(EVERYTHING, texts_of("msg_1", "Title", SAMPLE)))
    assert [name for name, text in filled.items() if not text] == ["test", "drill"]
    assert (filled["told"], filled["simulated"], filled["program"]) == (
        "clinic, night desk",
        "yes",
        "0.5 mL/d, which is 250 µg/d",
    )


def test_what_a_body_does_not_say_is_empty() -> None:
    own = {"type": "endpoint.test", "timestamp": "now", "data": {"what": "A test."}}
    filled = json.loads(fill(EVERYTHING, texts_of("msg_1", "Title", own)))
    assert {name for name, text in filled.items() if text} == {"id", "type", "timestamp", "title", "what"}


@given(text=st.text())
def test_no_text_can_leave_the_string_that_it_stands_in(text: str) -> None:
    own = {"type": "t", "timestamp": "now", "data": {"what": text.encode("utf-8", "ignore").decode()}}
    filled = json.loads(fill('{"a": "{{what}}", "b": 1}', texts_of("msg_1", "Title", own)))
    assert filled == {"a": own["data"]["what"], "b": 1}


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ('{"a": "{{wat}}"}', "there is no {{wat}}; there are id, type"),
        ('{"a": "{{}}"}', "there is no {{}}"),
        ('{"a": "{{what}"}', "not closed"),
        ('{"a": "{{what.__class__}}"}', "not closed, or holds more than a name"),
        ('{"a": "{{#each told}}x{{/each}}"}', "holds more than a name"),
        ('{"a": {{what}}}', "it is not JSON"),
        ('{"a": "{{what}}"', "it is not JSON"),
        ('"{{what}}"', "must be a JSON object"),
        ("", "it is not JSON"),
        ("x" * (LONGEST + 1), "at most 1,000"),
        ("[" * 900, "it is not JSON"),
    ],
)
def test_a_template_that_does_not_render_is_refused_with_the_reason(template: str, why: str) -> None:
    assert why in template_problem(template, LONGEST)
