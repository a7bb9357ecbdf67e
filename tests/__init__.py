"""The test suite."""

from __future__ import annotations

try:
    import pymysql
except ImportError:  # the suite runs without MariaDB, too
    pass
else:
    # Django's MySQL backend imports mysqlclient, which PyMySQL stands in for.
    pymysql.install_as_MySQLdb()
