"""TLS of clients that speak plain HTTP only: reading in the system's authorities would take 20 ms of CPU for each client."""

from __future__ import annotations

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, so that nothing but plain HTTP works with it
