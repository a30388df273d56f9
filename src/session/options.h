/*
 * options: what stands behind the fixed arguments of SESSION.*, and the checks that they share.
 * Each answers the turn with an error and returns false when something is wrong.
 */
#ifndef SESSION_OPTIONS_H
#define SESSION_OPTIONS_H

#include "session/sessions.h"

enum session_option {
	SESSION_OPTION_TTL = 1 << 0,
	SESSION_OPTION_ABSOLUTE = 1 << 1,
	SESSION_OPTION_USER = 1 << 2,
	SESSION_OPTION_NX = 1 << 3,
	SESSION_OPTION_XX = 1 << 4,
	SESSION_OPTION_IFVERSION = 1 << 5,
	SESSION_OPTION_DEEP = 1 << 6,
	SESSION_OPTION_DATA = 1 << 7, /* with a value */
	SESSION_OPTION_ID = 1 << 8,
	SESSION_OPTION_MAXPER = 1 << 9,
	SESSION_OPTION_REJECT = 1 << 10,
	SESSION_OPTION_NOTOUCH = 1 << 11,
	SESSION_OPTION_ONLY_DATA = 1 << 12, /* DATA without a value */
	SESSION_OPTION_GRACE = 1 << 13,
	SESSION_OPTION_MS = 1 << 14,
	SESSION_OPTION_WAIT = 1 << 15,
};

struct session_options {
	uint32_t given; /* of enum session_option */
	int64_t ttl_ms;
	int64_t absolute_ms; /* from the session's creation */
	int64_t grace_ms;
	int64_t lease_ms;
	int64_t wait_ms;
	uint64_t version;
	uint32_t per_user_max;
	struct slice user; /* empty: none */
	struct slice data;
	struct slice id;
};

/* The arguments from `first` on, in any order, each once; `allowed` of enum session_option. */
bool session_options_parse(
	struct turn *turn, uint32_t first, uint32_t allowed, struct session_options *out);
bool session_id_check(struct turn *turn, struct slice id);
/* Of a session to be made: SESSION.DEL and SESSION.ROTATE would take a handle for one. */
bool session_new_id_check(struct turn *turn, struct slice id);
bool session_user_check(struct turn *turn, struct slice user);
/* JSON of a session: one whole text, not too long. */
bool session_json_check(struct turn *turn, struct slice json);
/* And an object, where a merge needs one; `what` names it in the error. */
bool session_object_check(struct turn *turn, struct slice json, const char *what);
/* The result of a merge is not too long. */
bool session_size_check(struct turn *turn, size_t size);
bool session_purpose_check(struct turn *turn, struct slice purpose);
/* The session's data with the checked `json` merged into it becomes its data. */
bool session_merge(struct session *session, struct slice json, bool deep);

#endif
