"""How do messages become facts? Drain, decode, decide, commit, publish, settle, receipt: in this order, for ever."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from time import perf_counter
from typing import Final

from service.core.decode import Decoded
from service.core.fleet import Fleet
from service.core.pipeline import (
    ROUNDS_A_BATCH,
    Decisions,
    in_order,
    on_batch,
    patience_ended,
    publish,
    receipts_due,
)
from service.core.pruned import pruned
from service.core.reading import EventType, Items
from service.core.rejection import Rejection
from service.core.sequence import NOTHING
from service.core.shards import shard_of
from service.logs import tell, tell_turn
from service.loops.ahead import Ahead, Gathered
from service.loops.begin import begin
from service.loops.boots import keep_impossible_aside
from service.loops.carried import Carried
from service.loops.checkpoints import Checkpoints
from service.loops.conflicts import kept_aside
from service.loops.earlier import never_stored
from service.loops.enrolment import Enrolment
from service.loops.foreign import reject_foreign
from service.loops.in_force import PUMPS_AT_ONCE, put_in_force
from service.loops.latest import LastHeard
from service.loops.rebuild import Rebuilds
from service.loops.recover import to_ms
from service.loops.refused import go_on_without
from service.loops.registry import RegistryChanges
from service.loops.relearn import Relearning
from service.loops.repeating import Repeating
from service.loops.rulebook import RulebookSource
from service.metrics import Metrics
from service.ports import Clock, IngestStore, MarkedInbox, RawMessage, RefusedError

STAGES: Final = ("wait", "decode", "decide", "compare", "commit", "settle", "work_out", "receipts", "checkpoint")
LONGEST_WAIT_S: Final = 0.25
SAVE_EVERY_MS: Final = 1_000
MARK_EVERY_MS: Final = 5_000
FIRST_MARK_EVERY_MS: Final = 500
REGISTRY_EVERY_MS: Final = 2_000
CHECKPOINTS_EVERY_MS: Final = 1_000


class Ingester:
    def __init__(
        self,
        inbox: MarkedInbox,
        store: IngestStore,
        fleet: Fleet,
        metrics: Metrics,
        clock: Clock,
        *,
        enrolment_open: bool,
        rulebooks: RulebookSource | None = None,
    ) -> None:
        self._inbox, self._store, self._fleet = inbox, store, fleet
        self._metrics, self._clock = metrics, clock
        self._stages = {stage: metrics.stage_seconds.labels(stage) for stage in STAGES}
        self._carried = Carried()
        self._rebuilds = Rebuilds()
        self._relearning = Relearning()
        self._repeating = Repeating(fleet, metrics)
        self._enrolment = Enrolment(store, fleet, clock, self._repeating.limited, is_open=enrolment_open)
        self._ahead = Ahead(inbox, fleet.row_of, self._repeating.limited)
        self.last_heard = LastHeard(store, fleet, inbox, clock, self._repeating)
        self._checkpoints = Checkpoints(store, fleet, clock)
        self._done_ms: dict[str, int] = {}
        self._registry = RegistryChanges(store, clock)
        self._rulebooks = rulebooks
        self._shards: frozenset[int] | None = None  # those that are ours; None: there is but one for all pumps
        self._to_judge: dict[int, None] = {}  # keys, in the order in which they are judged anew

    async def run(self, owner: str, stop: asyncio.Event) -> None:
        """Win the shard, recover, connect, and go on until `stop`. Raises FencedError when the shard is lost."""
        await self.begin(owner)
        try:
            while not stop.is_set():
                await self.turn()
        finally:
            await self._inbox.close()
        await self.end()

    async def end(self) -> None:
        """Write down where everything is."""
        await self._checkpoints.write_all(self._now_ms())
        await self.last_heard.save()
        await self._store.close()

    async def begin(self, owner: str) -> None:
        """Win the shard, recover, and only then connect: nobody else may be settling what the session holds."""
        await self._store.take_over(owner)
        await self.prepare()
        await self._load(None)
        await self._inbox.start()

    async def prepare(self) -> None:
        """What is to be done once, before any shard is loaded."""
        await self._registry.look()
        await self._store.use(self._fleet.rulebook, self._clock())
        tell("rulebook_in_force", version=self._fleet.rulebook.version)

    async def take(self, epochs: Mapping[int, int]) -> None:
        """Recover these shards, which were won; they connect afterwards."""
        self._store.hold(epochs)
        self._shards = (self._shards or frozenset()) | epochs.keys()
        await self._load(epochs)

    async def leave(self, shards: Collection[int]) -> None:
        """Write down where the pumps of these shards are, and forget them: somebody else goes on."""
        fleet = self._fleet
        rows = [row for pump_id, row in fleet.row_of.items() if shard_of(pump_id.decode()) in shards]
        await self._checkpoints.write_all(self._now_ms(), rows)
        await self.last_heard.save()
        for each in (self._carried, self._rebuilds, self._relearning, fleet):
            each.forget(rows)
        self._to_judge = {key: None for key in self._to_judge if key in fleet.row_of_key}
        self._shards = (self._shards or frozenset()) - set(shards)
        self._store.let_go(shards)

    async def _load(self, shards: Collection[int] | None) -> None:
        begun = await begin(self._store, self._fleet, self._clock(), shards)
        self._carried.from_store(self._fleet, begun.behind)
        self._relearning.ask(self._fleet, begun.unlearned)
        self._rebuilds.ask(begun.late_from)

    @property
    def carries(self) -> bool:
        """Whether something that is stored is yet to be evaluated, or evaluated again."""
        return bool(self._carried or self._rebuilds or self._relearning)

    async def turn(self) -> None:
        """One batch, however small, then whatever is due besides."""
        with self._timed("wait"):
            gathered = await self._ahead.batch(0.0 if self.carries else LONGEST_WAIT_S)
        urgent = await self._end_patience(self._now_ms())
        if gathered.messages or self._carried:
            urgent += await self._batch(gathered)
        with self._timed("work_out"):
            await self._work_out()
        now_ms = self._now_ms()
        with self._timed("receipts"):
            self._send_receipts(urgent, now_ms)
        self._metrics.held_bytes.set(self._inbox.held_bytes)
        if self._is_due("save", SAVE_EVERY_MS, now_ms):
            self.last_heard.begin()
        heard = self._inbox.marker_seen_at is not None
        if self._is_due("mark", MARK_EVERY_MS if heard else FIRST_MARK_EVERY_MS, now_ms):
            self._inbox.send_marker()
        if self._is_due("registry", REGISTRY_EVERY_MS, now_ms):
            await self._look_for_changes()
        await self._judge_some()
        if self._is_due("checkpoint", CHECKPOINTS_EVERY_MS, now_ms):
            with self._timed("checkpoint"):
                await self._ahead.during(self._checkpoints.write_due(now_ms))

    async def _batch(self, gathered: Gathered) -> list[int]:
        messages, decoded = gathered.messages, gathered.decoded()
        self._stages["decode"].observe(gathered.took_s)
        if decoded.unknown_pumps:
            decoded = self._ours(await self._enrolment.with_the_new(messages, self._ours(decoded)))
        await keep_impossible_aside(self._store, self._fleet, decoded)
        rejected = [(messages[rejection.message], rejection) for rejection in decoded.rejections]
        rejected += self._repeating.samples(messages, decoded)
        waiting = await self._carried.next(self._store, self._fleet)
        while True:
            decisions = await self._decide(decoded, waiting)
            compared = kept_aside(self._store, self._fleet, messages, decisions)
            again = decisions.admission.duplicates
            with self._timed("compare"):
                others, not_compared = await (self._ahead.during(compared) if again else compared)
            try:
                known = await self._commit(decoded, decisions, [*rejected, *others])
            except RefusedError as error:
                rejected += go_on_without(decoded, messages, self._fleet, error.refused)
            else:
                break
        rejected += others
        for reason, count in not_compared.items():
            self._metrics.not_compared.labels(reason).inc(count)
        for what, count in pruned(self._fleet, decisions).items():
            self._metrics.pruned.labels(what).inc(count)
        with self._timed("settle"):
            publish(self._fleet, decisions)
            self._carried.keep(self._fleet, decisions)
            self._inbox.settle([message.token for message in messages])
        self._repeating.learn(messages, decoded, decisions, any_rejected=bool(rejected))
        if messages:
            self._metrics.batch_messages.observe(len(messages))
            self._metrics.settle_lag_seconds.observe((self._now_ms() - messages[0].received_ms) / 1000)
        self._count(decisions, rejected, known)
        return self._follow_up(decisions)

    async def _decide(self, decoded: Decoded, waiting: Items) -> Decisions:
        with self._timed("decide"):
            items = in_order(decoded.items)
            return on_batch(
                self._fleet,
                items,
                decoded.held_from,
                self._now_ms(),
                ends_ms=decoded.ends_ms,
                never_stored=await never_stored(self._store, self._fleet, items),
                waiting=waiting,
                most_of_a_pump=ROUNDS_A_BATCH,
            )

    async def _commit(
        self, decoded: Decoded, decisions: Decisions, rejected: Sequence[tuple[RawMessage, Rejection]]
    ) -> int:
        """Return how much was stored already although the ledger did not know."""
        if not (len(decisions.batch.items) or len(decisions.folded.rows) or rejected):
            return 0
        is_event = decisions.stored["kind"] != EventType.READING
        bodies = [decoded.bodies[index] for index in decisions.stored["message"][is_event].tolist()]
        with self._timed("commit"):
            return await self._ahead.during(
                self._store.commit_batch(self._fleet, decisions, bodies, rejected, self._clock())
            )

    def _follow_up(self, decisions: Decisions) -> list[int]:
        """What has to be worked out from the store, now that the batch is in it."""
        admission = decisions.admission
        self._rebuilds.ask(admission.rebuild)
        self._carried.from_store(self._fleet, list(admission.rebuild))
        # Those may have missed a receipt. Not at once: a broker that sends everything again asks for none.
        self._fleet.receipted[admission.repeated] = NOTHING
        return [*admission.holes_noticed, *admission.holes_closed]

    async def _work_out(self) -> None:
        """A slice of what is worked out again."""
        if self._rebuilds:
            await self._rebuilds.go_on(self._store, self._fleet, self._clock())
        if self._relearning:
            learned = await self._relearning.go_on(self._store, self._fleet, self._clock())
            self._to_judge |= dict.fromkeys(self._fleet.keys[learned].tolist())

    def _ours(self, decoded: Decoded) -> Decoded:
        """Without unknown pumps that are of a shard which is not ours."""
        if self._shards is not None:
            reject_foreign(decoded, self._shards)
        return decoded

    async def _end_patience(self, now_ms: int) -> list[int]:
        accounts = patience_ended(self._fleet, now_ms)
        for row, account in accounts.items():
            self._fleet.ledger.enter(row, account)
            tell("hole_given_up_waiting", pump=self._fleet.pump_ids[row], gaps=len(account.missing))
        if accounts:
            gaps = {int(self._fleet.keys[row]): account.missing for row, account in accounts.items()}
            await self._store.commit_fold([], gaps, self._clock())
            self._carried.from_store(self._fleet, list(accounts))
        return list(accounts)

    def _send_receipts(self, urgent: Sequence[int], now_ms: int) -> None:
        pump_ids = self._fleet.pump_ids
        receipts = [
            (f"receipts/v1/{pump_ids[row]}", b'{"boot":%d,"through":%d}' % (boot, seq))
            for row, boot, seq in receipts_due(self._fleet, urgent, now_ms)
        ]
        if receipts:
            self._inbox.publish(receipts)
            self._metrics.receipts.inc(len(receipts))

    async def _look_for_changes(self) -> None:
        """Has the registry or the rulebook changed? Then the pumps that this concerns are to be judged anew."""
        fleet = self._fleet
        if self._rulebooks is not None:
            rulebook = await self._rulebooks.look(self._clock())
            if rulebook.version != fleet.rulebook.version:
                fleet.use(rulebook)
                await self._store.use(rulebook, self._clock())
                tell("rulebook_in_force", version=rulebook.version)
                self._to_judge = dict.fromkeys(fleet.row_of_key)
        self._to_judge |= dict.fromkeys(await self._registry.look())

    async def _judge_some(self) -> None:
        """A part of those pumps, so that no turn takes long. What they say meanwhile is judged as before."""
        if not self._to_judge:
            return
        some = list(islice(self._to_judge, PUMPS_AT_ONCE))
        entries = await self._store.pumps(some)
        for key in some:
            del self._to_judge[key]
        if changed := await put_in_force(self._store, self._fleet, entries, self._clock()):
            tell("pumps_judged_anew", pumps=changed, version=self._fleet.rulebook.version)

    def _count(self, decisions: Decisions, rejected: Sequence[tuple[RawMessage, Rejection]], known: int) -> None:
        metrics = self._metrics
        is_event = decisions.stored["kind"] != EventType.READING
        metrics.batches.inc()
        metrics.readings_stored.inc(int((~is_event).sum()))
        metrics.events_stored.inc(int(is_event.sum()))
        metrics.messages.labels("event").inc(int((decisions.batch.items["kind"] != EventType.READING).sum()))
        metrics.duplicates.inc(decisions.admission.duplicates + known)
        for _, rejection in rejected:
            metrics.quarantined.labels(rejection.reason).inc()
        for change in decisions.folded.changes:
            metrics.alert_changes.labels(change.condition, change.turn).inc()
            tell_turn(change, self._fleet.pump_ids[self._fleet.row_of_key[change.pump]])

    def _is_due(self, what: str, every_ms: int, now_ms: int) -> bool:
        if now_ms - self._done_ms.get(what, 0) < every_ms:
            return False
        self._done_ms[what] = now_ms
        return True

    def _now_ms(self) -> int:
        return to_ms(self._clock())

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        finally:
            self._stages[stage].observe(perf_counter() - began)
