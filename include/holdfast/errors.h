/*
 * Every error a client can see. The code word (up to the first blank) never changes; texts that
 * Redis has are Redis's, byte for byte, because clients compare them. `%s` and friends are filled
 * in by the writer.
 */
#ifndef HOLDFAST_ERRORS_H
#define HOLDFAST_ERRORS_H

/* Commands */
#define ERROR_UNKNOWN_COMMAND    "ERR unknown command '%.*s', with args beginning with: %s"
#define ERROR_UNKNOWN_SUBCOMMAND "ERR unknown subcommand '%.*s'. Try %s HELP."
#define ERROR_SUBCOMMAND_ARITY                                                                     \
	"ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP."
#define ERROR_UNKNOWN_OF_FAMILY  "ERR unknown command '%.*s'. Try %s HELP."
#define ERROR_ARITY              "ERR wrong number of arguments for '%s' command"
#define ERROR_ARITY_USAGE        ERROR_ARITY ": %s"
#define ERROR_SYNTAX             "ERR syntax error"
#define ERROR_SYNTAX_WORD        ERROR_SYNTAX " at '%.*s': %s"
#define ERROR_SYNTAX_ARGUMENT    ERROR_SYNTAX " at argument %u: %s"
#define ERROR_SYNTAX_END         ERROR_SYNTAX " at the end: %s"
#define ERROR_NOT_INTEGER        "ERR value is not an integer or out of range"
#define ERROR_NOT_FLOAT          "ERR value is not a valid float"
#define ERROR_OVERFLOW           "ERR increment or decrement would overflow"
#define ERROR_DECREMENT_OVERFLOW "ERR decrement would overflow"
#define ERROR_NAN_OR_INFINITY    "ERR increment would produce NaN or Infinity"
#define ERROR_INVALID_EXPIRE     "ERR invalid expire time in '%s' command"
#define ERROR_NO_SUCH_KEY        "ERR no such key"
#define ERROR_OFFSET             "ERR offset is out of range"
#define ERROR_STRING_TOO_LONG    "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
#define ERROR_INVALID_CURSOR     "ERR invalid cursor"
#define ERROR_DB_INDEX           "ERR DB index is out of range"
#define ERROR_SAME_OBJECT        "ERR source and destination objects are the same"
#define ERROR_NOT_IN_RANGE       "ERR value is out of range, value must between %d and %d"
#define ERROR_EXPIRE_OPTION      "ERR Unsupported option %.*s"
#define ERROR_EXPIRE_NX          "ERR NX and XX, GT or LT options at the same time are not compatible"
#define ERROR_EXPIRE_GT_LT       "ERR GT and LT options at the same time are not compatible"
#define ERROR_NOT_LFU                                                                              \
	"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "  \
	"that when switching between policies at runtime LRU and LFU data will take some time to " \
	"adjust."
#define ERROR_WRONG_TYPE       "WRONGTYPE Operation against a key holding the wrong kind of value"
#define ERROR_CLUSTER_DISABLED "ERR This instance has cluster support disabled"

/* Connections */
#define ERROR_NOAUTH    "NOAUTH Authentication required."
#define ERROR_WRONGPASS "WRONGPASS invalid username-password pair or user is disabled."
#define ERROR_NO_PASSWORD                                                                          \
	"ERR AUTH <password> called without any password configured for the default user. Are "    \
	"you sure your configuration is correct?"
#define ERROR_HELLO_NOAUTH                                                                         \
	"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "  \
	"<proto> AUTH <user> <pass> option can be used to authenticate the client and select the " \
	"RESP protocol version at the same time"
#define ERROR_NOPROTO     "NOPROTO unsupported protocol version"
#define ERROR_MAX_CLIENTS "ERR max number of clients reached"
#define ERROR_PROTECTED_MODE                                                                       \
	"DENIED Holdfast is running in protected mode because protected mode is enabled and no "   \
	"password is set. Connections are only accepted from the loopback interface. To connect "  \
	"from other computers set a password with requirepass, or set protected-mode no if the "   \
	"network is trusted."

#define ERROR_SUBSCRIBED                                                                           \
	"ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "    \
	"are allowed in this context"
#define ERROR_PATTERN_SIZE  "ERR a pattern is at most %d bytes long"
#define ERROR_CHANNEL_SIZE  "ERR the name of a channel is at most %d bytes long"
#define ERROR_ARGUMENTS     "ERR '%s' takes at most %d arguments at a time"
#define ERROR_SUBSCRIPTIONS "ERR the subscriptions of one connection exceed 16 MiB"
#define ERROR_SUBSCRIPTIONS_ALL                                                                    \
	"OVERLOADED the subscriptions of all connections take as much as input-memory allows"
#define ERROR_CONFIG_GET    "ERR the patterns of one CONFIG GET are at most %d bytes long together"
#define ERROR_PATTERNS      "ERR the patterns of all connections exceed 8 MiB"
#define ERROR_NAMES_SIZE    "ERR the names of one command are at most %zu bytes long together"
#define ERROR_CHANNELS_WORK "ERR there are too many channels for a list, or for this pattern"

#define ERROR_HELLO_VERSION      "ERR Protocol version is not an integer or out of range"
#define ERROR_HELLO_OPTION       "ERR Syntax error in HELLO option '%.*s'"
#define ERROR_CLIENT_TEXT        "ERR %.*s cannot contain spaces, newlines or special characters."
#define ERROR_CLIENT_ATTRIBUTE   "ERR Unrecognized option '%.*s'"
#define ERROR_CLIENT_TYPE        "ERR Unknown client type '%.*s'"
#define ERROR_CLIENT_ID          "ERR Invalid client ID"
#define ERROR_CLIENT_ID_POSITIVE "ERR client-id should be greater than 0"
#define ERROR_MAXAGE_INTEGER     "ERR maxage is not an integer or out of range"
#define ERROR_MAXAGE_POSITIVE    "ERR maxage should be greater than 0"
#define ERROR_NO_SUCH_CLIENT     "ERR No such client"
#define ERROR_NO_SUCH_USER       "ERR No such user '%.*s'"

/* The server */
#define ERROR_CONFIG_UNKNOWN   "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'"
#define ERROR_CONFIG_SET       "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s"
#define ERROR_CONFIG_NO_FILE   "ERR The server is running without a config file"
#define ERROR_CONFIG_REWRITE   "ERR Rewriting config file: %s"
#define ERROR_GETKEYS_UNKNOWN  "ERR Invalid command specified"
#define ERROR_GETKEYS_NONE     "ERR The command has no key arguments"
#define ERROR_GETKEYS_ARITY    "ERR Invalid number of arguments specified for command"
#define ERROR_SLOWLOG_COUNT    "ERR count should be greater than or equal to -1"
#define ERROR_TIMEOUT          "ERR timeout is not an integer or out of range"
#define ERROR_TIMEOUT_NEGATIVE "ERR timeout is negative"
#define ERROR_NO_SHUTDOWN      "ERR No shutdown in progress."
#define ERROR_FUNCTION_FLUSH   "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"
#define ERROR_SCRIPT_FLUSH     "ERR SCRIPT FLUSH only support SYNC|ASYNC option"
#define ERROR_UNSUPPORTED      "ERR %s is not supported"
#define ERROR_NOT_IN_TESTS                                                                         \
	"ERR '%s' is about a connection or a whole server, which holdfast-server --test has not"

/* Fetches: a class gets the code word and the text apart. */
#define ERROR_FETCH_URL       "BADURL the URL is not valid: %s"
#define ERROR_FETCH_URL_SIZE  "BADURL the URL is longer than 16384 bytes"
#define ERROR_FETCH_SCHEME    "BADURL the URL is neither http nor https"
#define ERROR_FETCH_USER      "BADURL the URL holds a user name or a password"
#define ERROR_FETCH_HOST      "BADURL the URL's host is not a plain name or address"
#define ERROR_FETCH_METHOD    "BADREQUEST '%.*s' is not a method that can be sent"
#define ERROR_FETCH_HEAD_BODY "BADREQUEST a HEAD request has no body"
#define ERROR_FETCH_HEADER    "BADREQUEST header '%.*s' holds a byte that headers cannot have"
#define ERROR_FETCH_RESERVED  "BADREQUEST header '%.*s' is the server's to set"
#define ERROR_FETCH_HEADERS   "BADREQUEST the headers to send exceed 65536 bytes"
#define ERROR_FETCH_NO_LIST   "FORBIDDEN fetch-allow is empty: '%s:%u' is not to be fetched from"
#define ERROR_FETCH_UNLISTED  "FORBIDDEN fetch-allow does not list '%s:%u'"
#define ERROR_FETCH_ADDRESS                                                                        \
	"FORBIDDEN '%s:%u' is not at a public address; fetch-allow does not name it without a "    \
	"wildcard"
#define ERROR_FETCH_TIMEOUT     "TIMEOUT '%s:%u' did not answer within %lld ms"
#define ERROR_FETCH_IN_LINE     "TIMEOUT %lld ms in line: fetch-concurrency others are under way"
#define ERROR_FETCH_BODY_SIZE   "TOOLARGE the answer exceeds fetch-size-limit (%lld bytes)"
#define ERROR_FETCH_MEMORY      "TOOLARGE the answer does not fit into class-memory"
#define ERROR_FETCH_ANSWER_HEAD "TOOLARGE the headers of the answer exceed 65536 bytes"
#define ERROR_FETCH_REDIRECTS   "NETWORK more redirects than %u"
#define ERROR_FETCH_NETWORK     "NETWORK '%s:%u': %s"
#define ERROR_FETCH_ANSWER      "NETWORK the answer of '%s:%u' is of no use: %s"

/* Protocol errors; after one the connection is closed. */
#define ERROR_PROTOCOL_MULTIBULK_LENGTH "ERR Protocol error: invalid multibulk length"
#define ERROR_PROTOCOL_BULK_LENGTH      "ERR Protocol error: invalid bulk length"
#define ERROR_PROTOCOL_EXPECTED_DOLLAR  "ERR Protocol error: expected '$', got '%c'"
#define ERROR_PROTOCOL_QUOTES           "ERR Protocol error: unbalanced quotes in request"
#define ERROR_PROTOCOL_INLINE           "ERR Protocol error: too big inline request"
#define ERROR_PROTOCOL_MULTIBULK_STRING "ERR Protocol error: too big mbulk count string"
#define ERROR_PROTOCOL_BULK_STRING      "ERR Protocol error: too big bulk count string"
#define ERROR_PROTOCOL_NOAUTH_MULTIBULK "ERR Protocol error: unauthenticated multibulk length"
#define ERROR_PROTOCOL_NOAUTH_BULK      "ERR Protocol error: unauthenticated bulk length"

/* Holdfast's own */
#define ERROR_KEY_TOO_LONG "ERR key is longer than 2048 bytes"
#define ERROR_CHANGE_SIZE                                                                          \
	"ERR the changes of one command exceed the size of a log segment; split the command"
#define ERROR_REPLY_SIZE                                                                              \
	"ERR the reply would be longer than %zu bytes (client-output-limit, output-memory); ask for " \
	"less at a time"
#define ERROR_OUTPUT_FULL                                                                          \
	"OVERLOADED replies that clients have not read take all of output-memory; try again"
#define ERROR_GATHERED_FULL                                                                        \
	"OVERLOADED what commands gather in several steps takes all of input-memory; try again"
#define ERROR_DISK_FULL                                                                            \
	"DISKFULL the disk is full: writes are refused until there is room, reads go on"
#define ERROR_MAP_FULL                                                                             \
	"DISKFULL the data is as large as map-size allows: only commands that delete are run, "    \
	"until there is room; or start the server with a larger one"
#define ERROR_CLASS_NAME                                                                           \
	"ERR a class name is 1 to 64 letters, digits and underscores, and starts with a letter"
#define ERROR_NO_CLASS    "NOCLASS class '%.*s' is not loaded"
#define ERROR_NO_METHOD   "NOMETHOD %.*s has no method '%.*s'"
#define ERROR_PRIVATE     "NOMETHOD %.*s.%.*s is private"
#define ERROR_METHOD_NAME "NOMETHOD a method's name is 1 to 64 bytes long"
#define ERROR_CLASS       "CLASSERR %.*s.%.*s: %s"
#define ERROR_RESULT_SIZE                                                                          \
	"CLASSERR %.*s.%.*s: the result is longer than %zu bytes (client-output-limit, "           \
	"output-memory)"
#define ERROR_CLASS_SOURCE "BADCLASS %s"
#define ERROR_CLASS_EXISTS "CLASSEXISTS class '%.*s' is loaded; REPLACE replaces it"
#define ERROR_CLASS_BUSY                                                                           \
	"CLASSBUSY calls still wait in %u versions of class '%.*s'; take the new one when some "   \
	"of them have ended"
#define ERROR_CLASS_IN_USE  "CLASSINUSE class '%.*s' has objects; delete them first"
#define ERROR_CLASS_OF_FILE "CLASSFILE class '%.*s' is from the file %s; remove that first"
#define ERROR_CLASS_DIR                                                                            \
	"ERR class-dir is not set: it names the directory of the files that RELOAD takes"
#define ERROR_CLASS_FILES       "BADCLASS %s; all classes stay as they are"
#define ERROR_CLASS_SIZE        "BADCLASS the source of %zu bytes is longer than %zu"
#define ERROR_NO_ALARM          "NOALARM class '%.*s' has no alarm method"
#define ERROR_TURN_INSTRUCTIONS "TIMEOUT %.*s.%.*s took more than turn-instructions (%lld)%s%s"
#define ERROR_TURN_TIME         "TIMEOUT %.*s.%.*s ran longer than turn-time-limit (%lld ms)%s%s"
#define ERROR_ANSWER_MEMORY     "CLASSERR not enough memory for the answer: see class-memory"
#define ERROR_CLASS_LOST                                                                           \
	"CLASSERR %.*s.%.*s: its memory was lost when another call of the class ran too long"
#define ERROR_CALL_LIFE     "TIMEOUT %.*s.%.*s took longer than %lld ms with all its waits"
#define ERROR_CALL_TIMEOUT  "TIMEOUT the call to %.*s.%.*s took longer than %lld ms"
#define ERROR_CYCLE         "CYCLE %.*s '%.*s' waits for this call already"
#define ERROR_CALL_DEPTH    "DEPTH objects call each other more than 16 deep"
#define ERROR_OBJECT_QUEUE  "OVERLOADED retry-after-ms %lld: too many calls wait for the object"
#define ERROR_ID            "ERR an id is 1 to 2048 bytes long"
#define ERROR_STORAGE_KEY   "ERR a storage key is 1 to 2048 bytes long"
#define ERROR_VALUE_SIZE    "ERR value of %zu bytes exceeds max-value-size (%lld)"
#define ERROR_TIME          "ERR time is not an integer of milliseconds above 0, or out of range"
#define ERROR_LIFE          "ERR life is not an integer of seconds from 1 to 315360000"
#define ERROR_LIMIT         "ERR LIMIT must be an integer above 0"
#define ERROR_LIMIT_RANGE   "ERR LIMIT must be an integer from 1 to %u"
#define ERROR_RANGE_START   "ERR START and STARTAFTER at the same time are not compatible"
#define ERROR_IMPORT        "BADIMPORT %s"
#define ERROR_EXPORT_SIZE   "ERR the export is longer than %zu bytes, more than DO.IMPORT takes"
#define ERROR_OBJECT_EXISTS "OBJECTEXISTS the object holds data; REPLACE replaces it"

/* Sessions and leases */
#define ERROR_SESSION_ID      "ERR a session's id is 1 to %d bytes long"
#define ERROR_SESSION_HANDLE  "ERR a session's id does not have the form of a handle"
#define ERROR_SESSION_USER    "ERR a user's name is 1 to %d bytes long"
#define ERROR_SESSION_LIFE    "ERR %s is %lld to %lld seconds"
#define ERROR_SESSION_ENDED   "ERR ABSOLUTE counts from the session's creation and is over already"
#define ERROR_SESSION_JSON    "BADJSON at byte %zu: %s"
#define ERROR_SESSION_OBJECT  "BADJSON a merge takes a JSON object, and %s is none"
#define ERROR_SESSION_SIZE    "ERR the session's JSON of %zu bytes exceeds %zu"
#define ERROR_SESSION_GONE    "SESSIONGONE the session of this id was deleted"
#define ERROR_SESSION_OVER    "SESSIONGONE the session of this id has ended"
#define ERROR_SESSION_EXISTS  "SESSIONEXISTS there is a session of this id"
#define ERROR_SESSION_VERSION "VERSION %llu is the session's version"
#define ERROR_SESSION_NUMBER  "ERR IFVERSION is a version, 0 for none"
#define ERROR_SESSION_MAXPER  "ERR MAXPER is 1 to %d, and needs USER"
#define ERROR_SESSIONS_MAX    "MAXSESSIONS the user has %u sessions"
#define ERROR_SESSION_COUNT   "ERR COUNT is 1 to %d"
#define ERROR_PURPOSE         "ERR a purpose is 1 to %d bytes long"
#define ERROR_LEASE_MS        "ERR MS is 1 to %d milliseconds"
#define ERROR_LEASE_WAIT      "ERR WAIT is 0 to %d milliseconds"
#define ERROR_LEASE_LOST                                                                           \
	"LEASELOST the token holds no lease: it has ended, or is of another session or purpose"

/* The cache */
#define ERROR_CACHE_KEY "ERR a key is 1 to %d bytes long"
#define ERROR_CACHE_AGE "ERR %s is %d to %lld seconds"
#define ERROR_CACHE_STALE                                                                          \
	"ERR stale is the whole age up to which an entry may be served: not below ttl"
#define ERROR_CACHE_TAGS    "ERR TAGS is a count of 1 to %d and as many tags of 1 to %d bytes"
#define ERROR_CACHE_TAG     "ERR a tag is 1 to %d bytes long"
#define ERROR_CACHE_PREFIX  "ERR a prefix is 1 to %d bytes long"
#define ERROR_CACHE_METHOD  "ERR a method's name is 1 to %d bytes long"
#define ERROR_CACHE_BETA    "ERR EARLY is a number above 0 and up to 1000"
#define ERROR_CACHE_COUNT   "ERR COUNT is 1 to %d"
#define ERROR_CACHE_LEASE   "ERR LEASE is 1 to %d milliseconds"
#define ERROR_CACHE_RETRY   "ERR RETRY is 0 to %d milliseconds"
#define ERROR_CACHE_MESSAGE "ERR MESSAGE is up to %d bytes long"
#define ERROR_CACHE_LEASE_LOST                                                                     \
	"LEASELOST the token holds no lease of this key: it has ended, or the key was invalidated"
#define ERROR_CACHE_MGET "ERR CACHE.MGET takes up to %d keys"

#define ERROR_OVERLOADED    "OVERLOADED too many requests are waiting; try again later"
#define ERROR_SHUTTING_DOWN "ERR the server is shutting down"

#endif
