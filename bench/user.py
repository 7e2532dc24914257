"""One user of the drill's table: reads a row and changes another, until standard input ends.

Says "ready", and in the end the longest query, in seconds. It imports little, so that four start at once.
"""

import random
import sys
import threading
import time

import psycopg

QUERIES = "SELECT label FROM things WHERE id = %s", "UPDATE things SET seen = seen + 1 WHERE id = %s"


def main(conninfo: str, rows: int) -> None:
    longest = 0.0
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for _ in range(10):  # the first ones are prepared
            work(connection, rows)
        print("ready", flush=True)
        end = threading.Thread(target=sys.stdin.read)
        end.start()
        while end.is_alive():
            longest = max(longest, work(connection, rows))
    print(longest)


def work(connection: psycopg.Connection, rows: int) -> float:
    longest = 0.0
    for query in QUERIES:
        began = time.perf_counter()
        connection.execute(query, [random.randint(1, rows)])
        longest = max(longest, time.perf_counter() - began)
    return longest


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
