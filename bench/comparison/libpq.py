"""A connection through libpq, called directly: a round trip costs tens of microseconds, so that it can be a clock."""

import ctypes
import ctypes.util

_library = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
for _name, _result, _arguments in [
    ("PQconnectdb", ctypes.c_void_p, [ctypes.c_char_p]),
    ("PQstatus", ctypes.c_int, [ctypes.c_void_p]),
    ("PQerrorMessage", ctypes.c_char_p, [ctypes.c_void_p]),
    ("PQfinish", None, [ctypes.c_void_p]),
    ("PQexec", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    ("PQresultStatus", ctypes.c_int, [ctypes.c_void_p]),
    ("PQresultErrorMessage", ctypes.c_char_p, [ctypes.c_void_p]),
    ("PQntuples", ctypes.c_int, [ctypes.c_void_p]),
    ("PQnfields", ctypes.c_int, [ctypes.c_void_p]),
    ("PQgetvalue", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
    ("PQgetisnull", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
    ("PQclear", None, [ctypes.c_void_p]),
]:
    _function = getattr(_library, _name)
    _function.restype, _function.argtypes = _result, _arguments

_COMMAND_OK, _TUPLES_OK = 1, 2


class SqlError(Exception):
    """The server refused, or cannot be reached."""


class Connection:
    """One session; `query` returns rows of text."""

    def __init__(self, port, database="postgres", user="postgres"):
        target = f"host=127.0.0.1 port={port} dbname={database} user={user} connect_timeout=5"
        self._handle = _library.PQconnectdb(target.encode())
        if _library.PQstatus(self._handle) != 0:
            message = _library.PQerrorMessage(self._handle).decode()
            self.close()
            raise SqlError(message)

    def query(self, sql):
        result = _library.PQexec(self._handle, sql.encode())
        try:
            if _library.PQresultStatus(result) not in (_COMMAND_OK, _TUPLES_OK):
                raise SqlError(_library.PQresultErrorMessage(result).decode())
            columns = range(_library.PQnfields(result))
            return [
                tuple(
                    None
                    if _library.PQgetisnull(result, row, column)
                    else _library.PQgetvalue(result, row, column).decode()
                    for column in columns
                )
                for row in range(_library.PQntuples(result))
            ]
        finally:
            _library.PQclear(result)

    def value(self, sql):
        rows = self.query(sql)
        return rows[0][0] if rows else None

    def close(self):
        if self._handle:
            _library.PQfinish(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def lsn_number(text):
    """Turns 16/B374D848 into a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)
