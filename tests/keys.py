"""The key that seals secrets in the tests: not a secret itself."""

import base64

from service.vault import Vault

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
VAULT = Vault([KEY])
LOOPBACK_ALLOWED = "127.0.0.0/8"
ENVIRONMENT = {"PUMPWATCH_SECRET_KEY": KEY, "PUMPWATCH_WEBHOOK_ALLOW": LOOPBACK_ALLOWED}
