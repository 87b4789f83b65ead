"""What every answer tells a browser."""

from service.api.headers import HEADERS
from tests.api.ward import Ward


async def test_every_answer_says_what_a_browser_must_not_do(ward: Ward) -> None:
    answers = [
        await ward.client.get("/live"),
        await ward.client.get("/api/v1/pumps"),  # refused
        await ward.viewer.get("/pumps"),
        await ward.viewer.get("/nothing-here"),
        await ward.client.get("/a/guessed"),
    ]
    for answer in answers:
        for name in HEADERS:
            assert name.lower() in answer.headers, answer.url
        assert "access-control-allow-origin" not in answer.headers
    assert answers[2].headers["cache-control"] == "no-store"
    assert "style-src" in answers[4].headers["content-security-policy"]


async def test_another_site_is_not_let_read(ward: Ward) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    answer = await ward.viewer.options("/pumps", headers=asked)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
