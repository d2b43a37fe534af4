"""What is answered when a host asks questions at the login."""

import pytest

from sealer.redaction import Secret
from sealer_plugin_ssh.questions import Conversation, UnansweredError

PASSWORD = "Wal-Nuss"


def ask(*rounds: tuple[str, bool], instructions: str = "") -> list[str]:
    conversation = Conversation(Secret(PASSWORD))
    return [answer for one in rounds for answer in conversation.answer("", instructions, [one])]


@pytest.mark.parametrize(
    "question",
    [
        "Password: ",
        "password:",
        "(root@10.1.2.3) Password: ",
        "root's password: ",
        "Password for root@node1:",
        "LDAP Password: ",
        "Enter your password",
        "Passwort: ",
        "Mot de passe : ",
        "Contraseña: ",
        "Пароль: ",
        "密码:",
        "パスワード: ",
        "Unauthorized use is prohibited.\nPassword: ",
    ],
)
def test_the_password_is_given_to_who_asks_for_it(question: str) -> None:
    assert ask((question, False)) == [PASSWORD]


@pytest.mark.parametrize(
    "question",
    [
        "Verification code: ",
        "One-time password (OATH) for `root': ",
        "One-time Password: ",
        "OTP: ",
        "Passcode or option (1-3): ",
        "Password & verification code: ",
        "Enter PIN for key: ",
        "YubiKey for `root': ",
        "Response: ",
        "Enter passphrase: ",
        "",
    ],
)
def test_nothing_else_is_answered(question: str) -> None:
    with pytest.raises(UnansweredError) as caught:
        ask((question, False))
    assert not caught.value.expired
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "question",
    [
        "New password: ",
        "Retype new password: ",
        "Current password: ",
        "(current) UNIX password: ",
        "Enter new UNIX password:",
        "Neues Passwort: ",
        "Your password has expired. Choose a new password: ",
        "You are required to change your password immediately (administrator enforced).\nCurrent password: ",
        "Password expired. Password: ",
    ],
)
def test_a_password_that_is_to_be_changed_is_told_apart(question: str) -> None:
    with pytest.raises(UnansweredError) as caught:
        ask((question, False))
    assert caught.value.expired


def test_the_password_is_given_once() -> None:
    with pytest.raises(UnansweredError):
        ask(("Password: ", False), ("Password: ", False))


def test_a_question_whose_answer_is_shown_is_not_about_the_password() -> None:
    with pytest.raises(UnansweredError):
        ask(("Password: ", True))


def test_words_without_a_question_need_no_answer() -> None:
    assert Conversation(Secret(PASSWORD)).answer("", "Your password will expire in 3 days.", []) == []
