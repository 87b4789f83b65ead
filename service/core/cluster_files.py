"""What stands in the files of a cluster? NATS, the ingesters' environment, the database: texts from a plan."""

from typing import Final

from service.core.cluster import (
    BROKER_US,
    BUSY,
    DATABASE_US,
    INGESTER_US,
    MESSAGE_BYTES,
    READING_BYTES_COMPRESSED,
    READING_BYTES_NEW,
    UNCOMPRESSED_D,
    Node,
    Plan,
)
from service.core.shards import SHARDS, ranges_of

MAX_PAYLOAD_BYTES: Final = 272 * 1024
_GENERATED: Final = "# Made by `pumpwatch cluster plan`; make it anew rather than change it."
_NODE: Final = """\
{generated}
# What begins with a dollar comes from the server's environment (nats.env).
server_name: {name}
listen: "{host}:{nats}"
http: "{host}:{monitoring}"
max_payload: {payload}
jetstream {{ store_dir: "{store}", max_file_store: {store_bytes} }}
cluster {{
  name: pumpwatch
  listen: "{host}:{routes_port}"
  # Whoever joins as a node may say and hear everything: it needs the password, and a certificate of the authority.
  authorization {{ user: routes, password: $ROUTES_PASSWORD, timeout: 5 }}
  routes: $ROUTES
  tls {{
    cert_file: "{tls}/{stem}.pem"
    key_file: "{tls}/{stem}.key"
    ca_file: "{tls}/ca.crt"
    verify: true
    min_version: "1.2"
    timeout: 5
  }}
}}
mqtt {{
  listen: "{host}:{mqtt}"
  # Longer than the longest commit: what is not settled by then is sent again.
  ack_wait: "120s"
  max_ack_pending: {max_unsettled}
  stream_replicas: {replicas}
  consumer_replicas: {replicas}
}}
accounts {{
  PUMPS {{
    jetstream: enabled
    # Checked on the mapped subject. One user a pump, by its certificate: docs/security.md.
    users: [
      {{ user: pumpwatch, password: $SERVICE_PASSWORD }}
      {{ user: pumps, password: $PUMPS_PASSWORD, permissions {{
        publish: ["shard.*.pumps.v1.*.*"], subscribe: ["receipts.v1.>", "$MQTT.sub.>"] }} }}
    ]
    mappings: {{
      "pumps.v1.*.*": "shard.{{{{partition({shards},1)}}}}.pumps.v1.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}"
    }}
  }}
  SYS {{ users: [{{ user: sys, password: $SYSTEM_PASSWORD }}] }}
}}
system_account: SYS
"""
_NODES_ENVIRONMENT: Final = """\
{generated}
# Of every node. In place of the dots passwords of letters and digits, a letter first; in ROUTES that of the routes.
SERVICE_PASSWORD=...
PUMPS_PASSWORD=...
SYSTEM_PASSWORD=...
ROUTES_PASSWORD=...
ROUTES='[{routes}]'
"""
_INGESTER: Final = """\
{generated}
# Of every role: docs/operations.md. Passwords in place of the dots.
PUMPWATCH_BROKER_URL=mqtt://pumpwatch:...@{brokers}
PUMPWATCH_BROKER_MONITOR_URL={monitors}
PUMPWATCH_SHARDS=0-{last}
PUMPWATCH_INSTANCE={instance}
"""
_DATABASE: Final = """\
{generated}
max_connections = {connections}
tcp_keepalives_idle = 5
tcp_keepalives_interval = 2
tcp_keepalives_count = 3
synchronous_commit = on
"""
_NUMBERS: Final = """\
{pumps:,} pumps, a reading each {interval_s:g} s: {messages:,.0f} messages/s, {shard:,.1f} a shard

brokers    {nodes} nodes, every message on all of them
           stream $MQTT_msgs: {stream_gb:,.2f} GB = {messages:,.0f}/s x {held_h:g} h x {message_bytes} bytes
           store of a node: {store_gb:,.2f} GB
           processors a node: {node_cores:,.1f} = {messages:,.0f}/s x {broker_us:g} us, {busy:.0%} busy
           unsettled a shard: at most {max_unsettled}
           certificates: pumpwatch ca init --dir ca-nodes, an authority for nodes alone: a pump's opens nothing there;
           pumpwatch ca issue-node --dir ca-nodes HOST, for each of {hosts};
           then of nodes/ to {tls} of each: ca.crt, and its own HOST.pem and HOST.key
           once they run: pumpwatch cluster limit --nats nats://pumpwatch:...@{host}:{nats} --max-bytes {stream_bytes}
ingesters  {ingesters}, {share:,.0f} messages/s each; without one of them {without}
           processors each: {ingester_cores:,.1f} = {share:,.0f}/s x {ingester_us:g} us, {busy:.0%} busy
           shards while all of them live (they share them out by leases):
{shards}
database   {connections} connections
           processors: {database_cores:,.1f} = {messages:,.0f}/s x {database_us:g} us, {busy:.0%} busy
           disk {database_gb:,.0f} GB = {messages:,.0f}/s x ({new_d} d x {new} bytes + {old_d} d x {old} bytes)
"""


def files(plan: Plan) -> dict[str, str]:
    """By name, what each file says."""
    named = {f"{node.name}.conf": node_file(plan, node) for node in plan.wanted.nodes}
    named |= {f"{instance}.env": _ingester_file(plan, instance) for instance in plan.instances}
    routes = ", ".join(
        f'"nats-route://routes:...@{each.host}:{plan.wanted.ports.routes}"' for each in plan.wanted.nodes
    )
    return named | {
        "nats.env": _NODES_ENVIRONMENT.format(generated=_GENERATED, routes=routes),
        "postgresql.conf": _DATABASE.format(generated=_GENERATED, connections=plan.connections),
        "plan.txt": numbers(plan),
    }


def node_file(plan: Plan, node: Node) -> str:
    wanted = plan.wanted
    return _NODE.format(
        generated=_GENERATED,
        name=node.name,
        host=node.host,
        nats=wanted.ports.nats,
        monitoring=wanted.ports.monitoring,
        mqtt=wanted.ports.mqtt,
        routes_port=wanted.ports.routes,
        payload=MAX_PAYLOAD_BYTES,
        store=wanted.store.replace("{name}", node.name),
        tls=wanted.tls.replace("{name}", node.name),
        stem=node.host.replace(":", "-"),
        store_bytes=plan.store_bytes,
        max_unsettled=plan.max_unsettled,
        replicas=len(wanted.nodes),
        shards=SHARDS,
    )


def _ingester_file(plan: Plan, instance: str) -> str:
    wanted = plan.wanted
    return _INGESTER.format(
        generated=_GENERATED,
        brokers=",".join(f"{node.host}:{wanted.ports.mqtt}" for node in wanted.nodes),
        monitors=",".join(f"http://{node.host}:{wanted.ports.monitoring}" for node in wanted.nodes),
        last=SHARDS - 1,
        instance=instance,
    )


def numbers(plan: Plan) -> str:
    """The sizes and the capacity, with the arithmetic."""
    wanted = plan.wanted
    others = wanted.ingesters - 1
    new_d = min(UNCOMPRESSED_D, wanted.retention_d)
    shards = zip(plan.instances, plan.shares, strict=True)
    return _NUMBERS.format(
        pumps=wanted.pumps,
        interval_s=wanted.interval_s,
        messages=plan.messages,
        shard=plan.messages / SHARDS,
        nodes=len(wanted.nodes),
        stream_gb=plan.stream_bytes / 1e9,
        held_h=wanted.held_h,
        message_bytes=MESSAGE_BYTES,
        store_gb=plan.store_bytes / 1e9,
        node_cores=plan.node_cores,
        broker_us=BROKER_US,
        busy=BUSY,
        max_unsettled=plan.max_unsettled,
        host=wanted.nodes[0].host,
        hosts=", ".join(node.host for node in wanted.nodes),
        tls=wanted.tls,
        nats=wanted.ports.nats,
        stream_bytes=plan.stream_bytes,
        ingesters=wanted.ingesters,
        share=plan.messages / wanted.ingesters,
        without=f"{plan.messages / others:,.0f}" if others else "nobody takes anything: plan for two",
        ingester_cores=plan.ingester_cores,
        ingester_us=INGESTER_US,
        shards="\n".join(f"             {instance}: {ranges_of(share)}" for instance, share in shards),
        connections=plan.connections,
        database_cores=plan.database_cores,
        database_us=DATABASE_US,
        database_gb=plan.database_bytes / 1e9,
        new_d=new_d,
        new=READING_BYTES_NEW,
        old_d=wanted.retention_d - new_d,
        old=READING_BYTES_COMPRESSED,
    )
