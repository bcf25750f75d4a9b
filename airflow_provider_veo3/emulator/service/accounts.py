"""Accounts, their credits, and their API keys."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac

from airflow_provider_veo3.emulator.service.errors import ApiError
from airflow_provider_veo3.emulator.service.limits import RateLimiter


def fingerprint(key: str) -> str:
    """Return a short hash of a key, for logs and for the ledger."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


@dataclasses.dataclass
class Account:
    """An owner of tasks and credits."""

    name: str
    credits: int
    limiter: RateLimiter = dataclasses.field(default_factory=RateLimiter)


@dataclasses.dataclass
class Key:
    """An API key of an account."""

    secret: str = dataclasses.field(repr=False)
    account: Account
    disabled: bool = False
    limiter: RateLimiter = dataclasses.field(default_factory=RateLimiter)

    def limiter_of(self, scope: str) -> RateLimiter:
        """Return the limiter of a scope: ``key`` or ``account``."""
        return self.account.limiter if scope == "account" else self.limiter

    @property
    def fingerprint(self) -> str:
        """The hash that identifies the key in the ledger."""
        return fingerprint(self.secret)


class KeyRing:
    """All keys with their accounts."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._accounts: dict[str, Account] = {}

    def put(
        self,
        secret: str,
        *,
        credits_left: int | None = None,
        disabled: bool | None = None,
        account: str | None = None,
    ) -> Key:
        """Add a key or change one; by default a new key gets a new account."""
        key = self._keys.get(secret)
        if key is None:
            name = account or f"account-{len(self._accounts) + 1}"
            owner = self._accounts.setdefault(name, Account(name, 0))
            key = self._keys[secret] = Key(secret, owner)
        elif account is not None and account != key.account.name:
            raise ValueError(f"account={account!r}: the key belongs to {key.account.name}")
        if credits_left is not None:
            key.account.credits = credits_left
        if disabled is not None:
            key.disabled = disabled
        return key

    def authenticate(self, secret: str | None, *, invalid_code: str) -> Key:
        """Return the key of a request, or refuse the request with 401."""
        if not secret:
            raise ApiError(401, "UNAUTHORIZED", "Missing X-API-Key header")
        for known, key in self._keys.items():
            if hmac.compare_digest(known.encode(), secret.encode()) and not key.disabled:
                return key
        raise ApiError(401, invalid_code, "Invalid or inactive API key")

    def get(self, secret: str | None) -> Key | None:
        """Return a key, disabled or not."""
        return self._keys.get(secret or "")

    def all(self) -> list[Key]:
        """Return every key in the order of creation."""
        return list(self._keys.values())
