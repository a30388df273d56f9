# Calls the methods named on the command line, and writes what the client makes of each reply.
import os
import sys
import redis

db = redis.Redis(port=int(os.environ["HOLDFAST_PORT"]))
for words in sys.argv[1:]:
    try:
        print(repr(db.execute_command(*words.split(" "))))
    except redis.ResponseError as error:
        print(f"ResponseError({str(error)!r})")
