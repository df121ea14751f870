"""What the errors of Google Drive and of its logins mean, and what the user can do about them.

Notebooks: none.
"""

import http.client
import json
from pathlib import Path

TOKEN = Path.home() / ".config" / "music-genre-pico" / "drive_token.json"  # outside of any repository
RATE_LIMITS = ("rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded", "backendError")
FULL = ("storageQuotaExceeded", "quotaExceeded", "teamDriveFileLimitExceeded")

ADVICE = {
    "invalid_grant": "Google no longer accepts the saved login (invalid_grant). Delete {token} and run it to log in. "
                     "While the OAuth consent screen is in testing, a login ends after seven days: publish the app",
    "consent": "access was refused (access_denied). Log in again and allow it; while the OAuth consent screen is in "
               "testing, your address must be among its test users (console.cloud.google.com, APIs & Services)",
    "secrets": "{secrets} is missing, damaged or no OAuth client. In console.cloud.google.com: enable the Google Drive "
               "API, then Credentials, Create credentials, OAuth client ID, Desktop app; download it under this name",
    "key": "{secrets} is a service account's key, but damaged or deleted at Google. Make a new one in "
           "console.cloud.google.com: IAM & Admin, Service accounts, Keys, Add key, JSON",
    "headless": "no browser answers here, and nobody can be asked. Run this once in a terminal: a page opened on any "
                "computer is enough then. Or use a service account's key as client secrets: it needs no login",
    "login": "Google refused the login, or the saved one is damaged. Delete {token} and run again to log in",
    "quota": "Google Drive is full (storageQuotaExceeded). Make room and run again. A service account has no room of "
             "its own: let it write to a folder of a shared drive, or use an OAuth client",
    "disabled": "the Google Drive API is not enabled: enable it in console.cloud.google.com, wait a minute, run again",
    "folder": "this program may not write to that Drive folder or can't find it. Give a folder's name instead of its "
              "ID (it is created), or share the folder with the account that logs in",
    "network": "Google Drive can't be reached: is there a network?",
}


class DriveError(RuntimeError):
    """Drive needs the user: the message says what to do. `transient`: trying again later may be enough."""

    transient = False


def http_error(error: BaseException | None) -> tuple[int, str]:
    """HTTP status and Drive's reason of an error, or of the error that caused it; (0, "") when HTTP had no part."""
    from googleapiclient.errors import HttpError
    while error is not None and not isinstance(error, HttpError):
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        error = inner or error.__cause__ or error.__context__
    if error is None:
        return 0, ""
    try:
        return int(error.resp.status), json.loads(error.content)["error"]["errors"][0]["reason"]
    except (ValueError, KeyError, IndexError, TypeError):
        return int(error.resp.status), ""


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: server errors, rate limits, time-outs, no network.

    Drive answers 409 when an attempt that seemed to fail had worked: the next attempt finds the file.
    """
    import httplib2
    from oauth2client.client import HttpAccessTokenRefreshError
    if isinstance(error, HttpAccessTokenRefreshError):
        return str(getattr(error, "status", "")).startswith("5")
    status, reason = http_error(error)
    if status:
        return status in (408, 409, 429) or status >= 500 or status == 403 and reason in RATE_LIMITS
    if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)):
        return False
    return isinstance(error, (httplib2.HttpLib2Error, http.client.HTTPException, OSError))


def explain(error: BaseException, secrets="client_secrets.json", token=TOKEN, otherwise: str | None = None) -> str:
    """What the user can do about an error; `otherwise` is the key in ADVICE for one that is not known."""
    name, text, (status, reason) = type(error).__name__, f"{type(error).__name__}: {error}", http_error(error)
    cases = {
        "headless": name in ("EOFError", "StdinNotImplementedError"),
        "key": "Invalid JWT" in text or "account not found" in text,
        "secrets": name == "InvalidConfigError" or "invalid_client" in text or "deleted_client" in text,
        "login": status == 401 or "code exchange failed" in text,
        "invalid_grant": "invalid_grant" in text,
        "consent": "access_denied" in text,
        "quota": reason in FULL,
        "disabled": reason in ("accessNotConfigured", "SERVICE_DISABLED"),
        "folder": status in (403, 404) and reason not in RATE_LIMITS,
        "network": is_transient(error),
    }
    key = next((key for key, holds in cases.items() if holds), otherwise)
    advice = ADVICE[key].format(secrets=secrets, token=token) if key else "this was not expected"
    return f"{advice}. ({text[:300]})"
