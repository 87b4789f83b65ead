"""The files of a cluster, and the committed example of them."""

from pathlib import Path

from service.cli import main
from service.core.cluster import plan
from service.core.cluster_files import files, numbers
from tests.core.test_cluster import WANTED

EXAMPLE = Path(__file__).parents[2] / "deploy/nats/cluster"


def test_every_node_knows_all_others_and_splits_into_the_same_shards() -> None:
    named = files(plan(WANTED))

    for node in WANTED.nodes:
        text = named[f"{node.name}.conf"]
        assert "authorization { user: routes, password: $ROUTES_PASSWORD" in text
        assert all(f'"nats-route://routes:...@{other.host}:6222"' in named["nats.env"] for other in WANTED.nodes)
        assert '"shard.{{partition(64,1)}}.pumps.v1.{{wildcard(1)}}.{{wildcard(2)}}"' in text
        assert "stream_replicas: 3" in text
        for end, of in (("pem", "cert"), ("key", "key")):
            assert f'{of}_file: "/etc/nats/tls/{node.host}.{end}"' in text
        assert "verify: true" in text
        assert (
            f"pumpwatch ca issue-node --dir ca-nodes HOST, for each of {', '.join(node.host for node in WANTED.nodes)}"
            in (named["plan.txt"])
        )


def test_no_file_holds_a_password() -> None:
    for text in files(plan(WANTED)).values():
        for line in text.splitlines():
            assert "password:" not in line or "password: $" in line
            assert "_PASSWORD=" not in line or line.endswith("=...")


def test_the_numbers_come_with_their_arithmetic() -> None:
    told = numbers(plan(WANTED))

    assert "1,000 messages/s" in told
    assert "38.88 GB = 1,000/s x 24 h x 450 bytes" in told
    assert "ingest-1: 0-21" in told


def test_the_example_is_what_the_command_writes(tmp_path: Path) -> None:
    assert main(["cluster", "plan", "--to", str(tmp_path)]) == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text(encoding="utf-8") for path in EXAMPLE.iterdir()}
    assert written == committed, "pumpwatch cluster plan --to deploy/nats/cluster"
