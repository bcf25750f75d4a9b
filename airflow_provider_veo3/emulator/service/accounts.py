"""Accounts, their credits, and the keys that open them."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac

from airflow_provider_veo3.emulator.service.errors import ApiError
from airflow_provider_veo3.emulator.service.limits import Meter


def fingerprint(key: str | None) -> str | None:
    """What logs and the ledger show in place of a key."""
    return None if key is None else hashlib.sha256(key.encode()).hexdigest()[:12]


@dataclasses.dataclass
class Account:
    """Who owns tasks and credits."""

    name: str
    credits: int
    meter: Meter = dataclasses.field(default_factory=Meter)


@dataclasses.dataclass
class Key:
    """An API key: it belongs to one account, and can be disabled."""

    secret: str = dataclasses.field(repr=False)
    account: Account
    disabled: bool = False
    meter: Meter = dataclasses.field(default_factory=Meter)

    def meter_of(self, whose: str) -> Meter:
        """What has been used of the limits of a ``key``, or of an ``account``."""
        return self.account.meter if whose == "account" else self.meter

    @property
    def fingerprint(self) -> str:
        """Enough to tell keys apart, too little to use one."""
        return str(fingerprint(self.secret))


class KeyRing:
    """All keys, by their secret."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self.accounts: dict[str, Account] = {}

    def put(
        self, secret: str, *, credits_left: int | None, disabled: bool | None, account: str | None
    ) -> Key:
        """Add a key or change one; without an account's name, a new key opens an account of its own."""
        key = self._keys.get(secret)
        if key is None:
            name = account or f"account-{len(self.accounts) + 1}"
            owner = self.accounts.setdefault(name, Account(name, 0))
            key = self._keys[secret] = Key(secret, owner)
        elif account is not None and account != key.account.name:
            raise ValueError(f"account: the key belongs to {key.account.name}")
        if credits_left is not None:
            key.account.credits = credits_left
        if disabled is not None:
            key.disabled = disabled
        return key

    def check(self, secret: str | None, *, missing_code: str, invalid_code: str) -> Key:
        """The key of a request, or a refusal with 401."""
        if not secret:
            raise ApiError(401, missing_code, "Missing X-API-Key header")
        for known, key in self._keys.items():
            if hmac.compare_digest(known.encode(), secret.encode()) and not key.disabled:
                return key
        raise ApiError(401, invalid_code, "Invalid or inactive API key")

    def all(self) -> list[Key]:
        """Every key in the order of creation."""
        return list(self._keys.values())
