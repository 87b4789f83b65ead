"""What does a pump truly deliver, and what does it report? Many pumps over many spans of time, without a clock.

The hidden truth (`true_ml`, `true_ul`, `reached_ul`) is never published. Constants without another source are
assumptions made for simulation: they are nobody's device.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from simulators import draws, wire
from simulators.battery import Battery
from simulators.catheter import Catheters
from simulators.draws import Floats, Integers
from simulators.patients import Boluses, Patients
from simulators.programs import AT_MINIMUM, STOPPED, Phase, Program, Programs
from simulators.reservoir import Reservoirs
from simulators.rotor import Rotors
from simulators.said import Said
from simulators.selfwatch import SelfWatch, Watched
from simulators.sensors import DRIFT_TAU_S, UL_A_SECOND_AT_ONE_ML_D, Sensors
from simulators.sums import running

Booleans = npt.NDArray[np.bool_]

# Calibration bias: N(1 %, 4 %) within the labelled ±14.5 % (mean: Coffey and Wesemann 2014; the deviation is assumed).
BIAS_MEAN: Final = 0.01
BIAS_SD: Final = 0.04
BIAS_LIMIT: Final = 0.145


class Nature(NamedTuple):
    """What each pump is and how it begins; one value a pump in each attribute."""

    number: Integers  # names the pump's random numbers
    sensor: Booleans  # flow and level sensors; else rotor steps and a computed reservoir
    tells_stalls: Booleans  # whether the pump itself notices that its rotor stands still
    bias: Floats
    reservoir_ml: Floats  # what the pump believes at the start; the truth differs by the bias
    true_ml: Floats
    battery_used: Floats  # 0 … 1
    implanted_ms: Integers
    dead_ul: Floats  # between the reservoir and the tip of the catheter
    basal: Sequence[Program]
    boluses: Sequence[Boluses]


class Demand(NamedTuple):
    """What is asked of each pump over one span, and what is wrong with it: means over the span, arrays [pump].

    Over several spans at once: arrays [step, pump].
    """

    program_ml_d: Floats
    mode: Integers
    advance: Floats  # the share of motor steps that move the rotor; 1 is healthy
    output: Floats  # true volume a step, relative to the calibrated one; 1 is healthy, less behind an occlusion
    free_ml_d: Floats  # true flow that no step makes: what the propellant drives through an open pump
    leak: Floats  # share of what the pump delivers that is lost behind it; 0 is healthy
    drain: Floats  # current from the battery, relative to what the pump needs; 1 is healthy

    @classmethod
    def healthy(cls, program_ml_d: Floats, mode: Integers) -> Self:
        one, none = np.ones_like(program_ml_d), np.zeros_like(program_ml_d)
        return cls(program_ml_d, mode, one, one.copy(), none, none.copy(), one.copy())

    def at(self, step: int) -> Self:
        """One span of several: views, so that what is changed there is changed here."""
        return type(self)(*(column[step] for column in self))


class Measured(NamedTuple):
    """What each pump reports at the end of a span, rounded to the wire's decimals: arrays shaped as the demand."""

    mode: Integers
    program_ml_d: Floats
    flow_ml_d: Floats
    reservoir_ml: Floats
    battery_v: Floats
    delivered_ul: Floats  # of rotor pumps; NaN where the model has no counter


class Pumps:
    """The state of many pumps. What they report is the same however the spans are cut into calls.

    A round is: tell what changes in the spans to come (`refill`, `set_program`, …), ask for their `demand`, let faults
    change that, and `run` it. What the pumps and their patients say of it all is then in `take_said`.
    """

    def __init__(self, seed: int, nature: Nature, at_ms: Integers, drift_tau_s: float = DRIFT_TAU_S) -> None:
        self.nature = nature
        self.at_ms = at_ms.copy()  # where the next span of each pump begins, in true time
        self.step = 0
        self.true_ul = np.zeros(len(nature.number))  # delivered in truth since the start
        self.programs = Programs(nature.basal, at_ms)
        self.patients = Patients(seed, nature.number, nature.boluses)
        self.reservoirs = Reservoirs(seed, nature.number, nature.true_ml, nature.reservoir_ml)
        self.catheters = Catheters(nature.dead_ul)
        self.battery = Battery(seed, nature.number, nature.battery_used)
        self.watch = SelfWatch(nature.tells_stalls, nature.implanted_ms)
        self._rotors = Rotors(seed, nature.number)
        self._with_sensor = np.flatnonzero(nature.sensor)
        self._sensors = Sensors(seed, nature.number[self._with_sensor], drift_tau_s)
        self._counted_ul = np.zeros(len(nature.number))
        self._said: list[Said] = []

    @property
    def true_ml(self) -> Floats:
        return self.reservoirs.true_ml

    @property
    def computed_ml(self) -> Floats:
        return self.reservoirs.computed_ml

    @property
    def reached_ul(self) -> Floats:
        """What has come out of the catheter in truth since the start."""
        return self.catheters.reached_ul

    def demand(self, spacing_ms: int, steps: int) -> Demand:
        """What programs and patients ask for over the next spans; to be followed by `run` of just these."""
        to_ms = self.at_ms + spacing_ms * steps
        for pump, end_ms in self.watch.ends_of_service(to_ms):
            self.programs.change(pump, end_ms, STOPPED)
        self._said += self.patients.ask(self.at_ms, to_ms, self.programs)
        return Demand.healthy(*self.programs.over(self.at_ms, spacing_ms, steps))

    def run(self, spacing_ms: int, demand: Demand) -> Measured:
        """Let the spans pass for every pump and return what each one then reports; many spans at once cost least.

        Together less than the 90 days in which a pump asks to be replaced.
        """
        steps = self.step + np.arange(len(demand.program_ml_d))
        self.step += len(steps)
        span_s = spacing_ms / 1000
        ul_a_ml_d = span_s * UL_A_SECOND_AT_ONE_ML_D
        asked_ul = demand.program_ml_d * ul_a_ml_d
        flow_ul = self._rotors.turn(asked_ul, demand.advance, steps)
        delivered_ul, true_ml = self._deliver(flow_ul, demand, ul_a_ml_d)
        reservoir_ml = self.reservoirs.compute(asked_ul)
        battery_v = self.battery.advance(span_s, demand.program_ml_d, demand.drain)
        watched = Watched(self.at_ms, spacing_ms, demand.mode, asked_ul, flow_ul, reservoir_ml, battery_v)
        self._said += self.watch.look(watched)
        self.at_ms += spacing_ms * len(steps)
        if self._with_sensor.size:
            sensed = self._with_sensor
            program_ml_d = demand.program_ml_d[:, sensed]
            flow_ul[:, sensed] = self._sensors.flow_ul(delivered_ul[:, sensed], program_ml_d, span_s, steps)
            reservoir_ml[:, sensed] = self._sensors.level_ml(true_ml[:, sensed], span_s, steps)
        counted_ul = running(self._counted_ul, flow_ul)[1:]
        self._counted_ul = counted_ul[-1].copy()
        counted_ul[:, self._with_sensor] = np.nan
        battery_v += self.battery.noise_v(steps)
        flow_ul /= ul_a_ml_d
        return Measured(
            mode=demand.mode,
            program_ml_d=_rounded(demand.program_ml_d, wire.RATE_DECIMALS),
            flow_ml_d=_rounded(flow_ul, wire.RATE_DECIMALS),
            reservoir_ml=_rounded(reservoir_ml, wire.RESERVOIR_DECIMALS),
            battery_v=_rounded(battery_v, wire.BATTERY_DECIMALS),
            delivered_ul=_rounded(counted_ul, wire.DELIVERED_DECIMALS),
        )

    def take_said(self) -> list[Said]:
        """What was said in the spans that were run, in order of time; each is returned once."""
        said, self._said = sorted(self._said, key=lambda each: each.at_ms), []
        return said

    def refill(
        self, pump: int, to_ml: float, missed_share: float = 0.0, at_ms: int | None = None
    ) -> tuple[float, float]:
        """Empty and fill one pump; return (aspirated_ml, expected_ml), what came out and what the pump had computed.

        `missed_share` of what is injected goes beside the pump, which believes that it is full all the same. The pump
        clears what it said of its reservoir; the event `refill` is the caller's.
        """
        self._said += self.watch.refilled(pump, to_ml, self._when(pump, at_ms))
        return self.reservoirs.refill(pump, to_ml, missed_share, self.step)

    def set_program(
        self,
        pump: int,
        at_ms: int,
        phase: Phase | None = None,
        basal: Program | None = None,
        command_id: str | None = None,
    ) -> None:
        """A command from outside, effective from `at_ms` in the next span: another phase, or back to the basal program.

        The pump says `program_changed`; without `command_id` nobody authorised it. A bolus under way ends. A pump that
        is out of service stays stopped.
        """
        if at_ms >= self.watch.end_of_service_ms(pump):
            phase = STOPPED
        self.programs.change(pump, at_ms, phase, basal)
        self.patients.interrupt(pump, at_ms)
        self._said += self.watch.reprogrammed(pump, at_ms)
        rate_ml_d, mode = self.programs.at(pump, at_ms)
        fields: dict[str, object] = {"program_ml_d": round(rate_ml_d, wire.RATE_DECIMALS), "mode": wire.MODES[mode]}
        if command_id is not None:
            fields["command_id"] = command_id
        self._said.append(Said(pump, at_ms, "program_changed", fields))

    def battery_reset(self, pump: int, at_ms: int | None = None) -> None:
        """The battery fails for a moment: the pump falls back to its minimum rate until it is programmed anew."""
        when_ms = self._when(pump, at_ms)
        self.programs.change(pump, when_ms, AT_MINIMUM)
        self.patients.interrupt(pump, when_ms)
        self._said += self.watch.reset(pump, when_ms)

    def restart(self, pump: int) -> None:
        """The pump begins a new boot: what it counts since its boot begins anew."""
        self._counted_ul[pump] = 0.0

    def _when(self, pump: int, at_ms: int | None) -> int:
        return int(self.at_ms[pump]) + 1 if at_ms is None else at_ms

    def _deliver(self, moved_ul: Floats, demand: Demand, ul_a_ml_d: float) -> tuple[Floats, Floats]:
        """What leaves each pump in each span, and what its reservoir then holds."""
        wanted_ul = moved_ul * (1 + self.nature.bias)
        wanted_ul *= demand.output
        wanted_ul += demand.free_ml_d * ul_a_ml_d
        delivered_ul, true_ml = self.reservoirs.give(wanted_ul)
        self.true_ul = running(self.true_ul, delivered_ul)[-1]
        self.catheters.carry(delivered_ul, demand.leak)
        return delivered_ul, true_ml


def calibration_bias(seed: int, numbers: Integers) -> Floats:
    """Draw each pump's bias. A draw beyond the labelled accuracy is drawn again: such a pump is not shipped."""
    keys = draws.keys_of(seed, numbers, "bias")
    bias = BIAS_MEAN + BIAS_SD * draws.normal_pair(keys, 0)[0]
    again = 1
    while np.any(refused := np.abs(bias) > BIAS_LIMIT):
        bias[refused] = BIAS_MEAN + BIAS_SD * draws.normal_pair(keys[refused], again)[0]
        again += 1
    return bias


def _rounded(values: Floats, decimals: int) -> Floats:
    return np.asarray(np.round(values, decimals), dtype=np.float64)
