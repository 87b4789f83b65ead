"""Who is behind the endpoints, and whom does a policy reach now? Contacts, rotas, policies and rules together."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from service.core.change import Priority
from service.core.policy import EVERYBODY, Policy, Rule, Target, policy_for, policy_problems
from service.core.reading import DrugClass
from service.core.rota import Name, Rota, Zones, on_call, rota_problems

EndpointName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Problems = list[tuple[str, str]]


class Contact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person, or a role that some person always has, and where they are reached."""

    name: Name
    is_a: Literal["person", "role"] = "person"
    endpoints: Annotated[tuple[EndpointName, ...], msgspec.Meta(min_length=1, max_length=20)]


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which policy is for which alerts."""

    rules: Annotated[tuple[Rule, ...], msgspec.Meta(max_length=1000)] = ()


Document = Contact | Rota | Policy | Rules
FORMS: Final[Mapping[str, type[Document]]] = {"contact": Contact, "rota": Rota, "policy": Policy, "rules": Rules}
RULES: Final = "rules"
"""The kind, and the name, of the one list of rules."""


@dataclass(frozen=True, slots=True)
class Roster:
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    rotas: Mapping[str, Rota] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    zones: Zones = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[tuple[str, str, Document]], zones: Zones) -> "Roster":
        """Of (kind, name, document)."""
        kept: dict[str, dict[str, Any]] = {kind: {} for kind in FORMS}
        for kind, name, document in documents:
            kept[kind][name] = document
        rules = kept[RULES][RULES].rules if kept[RULES] else ()
        return cls(kept["contact"], kept["rota"], kept["policy"], rules, zones)

    def policy(self, site: str | None, drug_class: DrugClass, priority: Priority) -> Policy:
        return policy_for(self.rules, self.policies, site, drug_class, priority)

    def endpoints(self, targets: Iterable[Target], at: datetime) -> set[str] | None:
        """The names of the endpoints behind targets at an instant; None: all that there are."""
        names: set[str] = set()
        for target in targets:
            if target == EVERYBODY:
                return None
            kind, _, name = target.partition(":")
            if kind == "endpoint":
                names.add(name)
            else:
                names |= self._of_contact(self._on_call(name, at) if kind == "rota" else name)
        return names

    def _on_call(self, rota: str, at: datetime) -> str:
        known = self.rotas.get(rota)
        return "" if known is None or known.time_zone not in self.zones else on_call(known, self.zones, at)

    def _of_contact(self, name: str) -> set[str]:
        contact = self.contacts.get(name)
        return set() if contact is None else set(contact.endpoints)


def parse(kind: str, given: Any) -> tuple[Document | None, Problems]:
    """A document from JSON's values; or what is wrong with its form, as (field, what)."""
    try:
        return msgspec.convert(given, FORMS[kind]), []
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        return None, [(where.rstrip("`").lstrip(".") or kind, what)]


def document_problems(
    name: str, document: Document, roster: Roster, endpoints: Collection[str], sites: Collection[str]
) -> Problems:
    """What is wrong with a document beside its form, as (field, what)."""
    named = getattr(document, "name", name)
    problems: Problems = [] if named == name else [("name", f"must be {name!r}, as in the address")]
    match document:
        case Contact():
            problems += [("endpoints", f"there is no endpoint {e!r}") for e in document.endpoints if e not in endpoints]
        case Rota():
            problems += rota_problems(document, roster.contacts, roster.zones)
        case Policy():
            problems += policy_problems(document, endpoints, roster.contacts, roster.rotas)
        case Rules():
            for number, rule in enumerate(document.rules):
                if rule.policy not in roster.policies:
                    problems.append((f"rules[{number}].policy", f"there is no policy {rule.policy!r}"))
                if rule.site is not None and rule.site not in sites:
                    problems.append((f"rules[{number}].site", f"there is no site {rule.site!r}"))
    return problems


def used_by(kind: str, name: str, roster: Roster) -> list[str]:
    """What would point to nothing if this were deleted."""
    users: list[str] = []
    if kind == "contact":
        users += [f"rota {r.name}" for r in roster.rotas.values() if name in r.contacts]
        users += [f"rota {r.name}" for r in roster.rotas.values() if any(s.contact == name for s in r.stand_ins)]
    if kind == "policy":
        users += ["the rules" for rule in roster.rules if rule.policy == name]
    target = f"{kind}:{name}"
    users += [f"policy {p.name}" for p in roster.policies.values() if any(target in step.targets for step in p.steps)]
    return list(dict.fromkeys(users))
