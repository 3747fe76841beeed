"""The settings of connections: client certificate and CAs, proxy, source addresses, HTTP version."""

from __future__ import annotations

from atm.models.fields import Findings, Path
from atm.models.spec import TestSpec
from atm.plan.client_key import is_pkcs12, key_problem
from atm.plan.connections import Connections, Proxy, Tls
from atm.plan.files import Files
from atm.plan.load import nanoseconds
from atm.plan.templates import Names
from atm.plan.urls import check_server_name, compile_origin


class ConnectionSettings:
    """Compiles them; the key and the proxy's credentials are put into `secrets`."""

    def __init__(self, spec: TestSpec, names: Names, files: Files, findings: Findings) -> None:
        self._spec = spec
        self._names = names
        self._files = files
        self._findings = findings
        self.secrets: dict[str, str] = {}

    def compiled(self) -> Connections:
        """Return the settings, and report problems."""
        spec = self._spec
        for index, address in enumerate(spec.source_addresses):
            import ipaddress

            try:
                ipaddress.ip_address(address)
            except ValueError:
                what = f'"{address}" is not an IP address'
                self._findings.add(("source_addresses", index), what, "bad_address", "For example 10.0.0.7")
        if "streams_per_connection" in spec.written and spec.http_version == "1.1" and spec.streams_per_connection > 1:
            what = "streams_per_connection applies to HTTP/2 only, and http_version is 1.1"
            self._findings.add(
                ("streams_per_connection",), what, "conflict", 'Add `http_version: "2"`, or leave it out'
            )
        return Connections(
            tls=self._tls(),
            proxy=self._proxy(),
            redirects=spec.redirects,
            max_response_bytes=spec.max_response_bytes,
            keep_alive=spec.keep_alive,
            http_version=spec.http_version,
            streams_per_connection=spec.streams_per_connection,
            resolve_every_ns=None if spec.resolve_every is None else nanoseconds(spec.resolve_every),
            source_addresses=tuple(spec.source_addresses),
        )

    def _tls(self) -> Tls:
        tls = self._spec.tls
        if tls is None:
            return Tls()
        ca = self._pem(tls.ca, "ca", "CERTIFICATE") if tls.ca else ""
        certificate = self._pem(tls.cert, "cert", "CERTIFICATE") if tls.cert else ""
        if tls.key and not tls.cert:
            what = "a client key needs a certificate"
            self._findings.add(("tls", "key"), what, "missing_field", "Add `tls: {cert: client.pem}`")
        if tls.server_name:
            check_server_name(tls.server_name, ("tls", "server_name"), self._findings)
        key_file = tls.key or tls.cert
        if key_file:
            before = len(self._findings)
            key = self.secrets["tls.key"] = self._pem(key_file, "key" if tls.key else "cert", "PRIVATE KEY")
            if certificate and len(self._findings) == before and (problem := key_problem(certificate, key)):
                name = "key" if tls.key and problem.path == "tls.key" else "cert"
                self._findings.add(("tls", name), problem.what, problem.code, problem.hint)
        return Tls(tls.insecure, ca, certificate, "tls.key" if key_file else "", tls.server_name or "")

    def _pem(self, file: str, name: str, content: str) -> str:
        path: Path = ("tls", name)
        raw = self._files.content(file, path)
        if raw is None:
            return ""
        try:
            text = raw.decode("ascii")
        except UnicodeDecodeError:
            text = ""
        if f"{content}-----" not in text:
            what = f'the file "{file}" holds no {content.lower()} in PEM form'
            kind = "x509" if content == "CERTIFICATE" else "pkey"
            hint = f"Convert it: `openssl {kind} -inform der -in {file} -out {file}.pem`"
            if is_pkcs12(raw):
                # Certificate and key are in one file, which serves as `cert` without a `key`.
                hint = f"Convert it: `openssl pkcs12 -in {file} -out {file}.pem -nodes`, and give that as `cert`"
            self._findings.add(path, what, "bad_pem", hint)
        return text

    def _proxy(self) -> Proxy | None:
        if self._spec.proxy is None:
            return None
        path: Path = ("proxy",)
        before = len(self._findings)
        url = self._names.fixed(self._spec.proxy, path, "a proxy")
        self._check_proxy_host(url, path)
        if len(self._findings) > before:
            return None
        scheme, separator, rest = url.partition("://")
        user_info, at, host = rest.partition("/")[0].rpartition("@")
        origin = compile_origin(f"{scheme}{separator}{host}" if separator else url, path, self._findings)
        if origin is None:
            return None
        if origin.scheme == "https":
            what = "only plain HTTP proxies are supported, and the URL has https"
            self._findings.add(path, what, "bad_url", f"Write `proxy: http://{host}`")
        if at:
            from base64 import b64encode
            from urllib.parse import unquote_to_bytes

            self.secrets["proxy"] = "Basic " + b64encode(unquote_to_bytes(user_info)).decode()
        return Proxy(origin, "proxy" if at else "")

    def _check_proxy_host(self, url: str, path: Path) -> None:
        """Refuse credentials in a proxy's URL after the `@`, because that part is displayed."""
        position, host_at = 0, url.partition("://")[2].partition("/")[0].rfind("@") + url.find("://") + 4
        for piece in self._names.pieces(self._spec.proxy or "", path, secrets=False):
            position += len(piece.text)
            if position > host_at and not self._names.may_be_shown(piece):
                self._names.refuse_secret(piece, path, "the host of a proxy")
                return
