"""What a host asks while somebody logs in (keyboard-interactive, RFC 4256), and what is answered."""

from __future__ import annotations

import re
from collections.abc import Sequence

import paramiko  # noqa: TID253  # this module is imported by a running connection only

from sealer.redaction import Secret

# How PAM, BSD auth and RADIUS ask for a login's password; PAM's own translations are among them.
_PASSWORD = re.compile(
    r"\b(?:password|passwd|passwort|kennwort|wachtwoord|mot de passe|contraseña|clave|senha|palavra-passe|parola|"
    r"lösenord|passord|adgangskode|salasana|hasło|heslo|jelszó|şifre|пароль)|密码|密碼|口令|パスワード|암호|비밀번호",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:new|retype|re-enter|repeat|confirm|again|current|old|change|changing|expired|neues|nouveau|nueva|nuevo|nova|"
    r"nuova|nieuw|новый)\b|新密码|新的密码|新しいパスワード",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:one[- ]?time|otp|totp|verification|passcode|code|token|pin|factor|duo|yubikey|security|challenge|"
    r"passphrase)\b",
    re.IGNORECASE,
)
_EXPIRED = re.compile(
    r"(?:password|account)[^.\n]*\b(?:expired|aged)|(?:required|must|have)[^.\n]*\bchange\b[^.\n]*password|"
    r"\b(?:new|retype|current) (?:unix )?password|\(current\)",
    re.IGNORECASE,
)


class UnansweredError(paramiko.SSHException):
    """The host asks for something that sealer does not have: the login by this method is given up.

    :ivar expired: it asks for a new password.
    """

    def __init__(self, question: str, *, expired: bool) -> None:
        super().__init__(f"the host asks {question!r}, which sealer cannot answer")
        self.expired = expired


class Conversation:
    """One dialogue: the password is given once, to a question that asks for it and hides what is typed."""

    def __init__(self, password: Secret) -> None:
        self._password = password
        self._given = False

    def answer(self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        """The answers to one round of questions; called by paramiko.

        :raises UnansweredError: one of them does not ask for the password.
        """
        told = f"{title}\n{instructions}"
        return [self._answer(prompt, told, shown=shown) for prompt, shown in prompts]

    def _answer(self, prompt: str, told: str, *, shown: bool) -> str:
        asked = prompt.strip().splitlines()[-1].strip() if prompt.strip() else ""
        if not shown and not self._given and _asks_for_the_password(prompt, asked):
            self._given = True
            return self._password.reveal()
        expired = not shown and (_EXPIRED.search(f"{told}\n{prompt}") is not None or _CHANGE.search(asked) is not None)
        raise UnansweredError((asked or told.strip())[:120], expired=expired)


def _asks_for_the_password(prompt: str, asked: str) -> bool:
    """Whether a question is for the password that is there, and not for a new one or a code."""
    return bool(_PASSWORD.search(asked)) and not (
        _CHANGE.search(asked) or _OTHER.search(asked) or _EXPIRED.search(prompt)
    )
