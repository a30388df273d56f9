/*
 * lease_commands: SESSION.LEASE, COMMIT, RELEASE: of the callers who find a session's access token
 * about to expire, one refreshes it and the others get what it brought.
 *
 *   LEASE --> [token, ms]                                      the caller refreshes
 *         --> [nil, ms left]                                   somebody else does
 *         --> [nil, 0, data]                                   IFVERSION: the caller's are outdated
 *         --(WAIT)--> parked --> [nil, 0, data]                the holder has committed
 *                            --> [token, ms]                   the holder gave up: the next does it
 *   COMMIT: data is merged, the lease ends, who waits is told, in one turn
 *
 * Who has read the data before a commit and asks for the lease behind it would do the work again.
 * With IFVERSION nobody is granted a lease whose data are of another version than those that it has
 * read, whether it asks or its turn in line has come.
 *
 * A lease is of the session, not of its id: it outlives SESSION.ROTATE.
 *
 * Threads: the turn's.
 */
#include "session/commands.h"

#include "session/options.h"

#define LEASE_MS_DEFAULT 10000

/* What a LEASE keeps from turn to turn. */
struct lease_call {
	struct lease_wait wait;
	struct session_options options;
	uint64_t serial; /* of the session whose lease it waits for */
};

static void write_held(struct turn *turn, int64_t left_ms)
{
	writer_array(&turn->writer, 2);
	writer_null(&turn->writer);
	writer_integer(&turn->writer, left_ms);
}

static void write_granted(struct turn *turn, const struct lease_grant *grant)
{
	/* Its connection's end is the lease's. */
	turn->gave_lease = true;
	writer_array(&turn->writer, 2);
	writer_bulk_text(&turn->writer, grant->token);
	writer_integer(&turn->writer, grant->ms);
}

static void write_told(struct turn *turn, const struct session *session)
{
	writer_array(&turn->writer, 3);
	writer_null(&turn->writer);
	writer_integer(&turn->writer, 0);
	writer_bulk(&turn->writer, session->record.data);
}

/* --- LEASE ------------------------------------------------------------------------------------ */

/* Whether the caller has read what the session's data are now, or does not care. */
static bool is_current(const struct lease_call *call, const struct session *session)
{
	return !(call->options.given & SESSION_OPTION_IFVERSION) ||
		call->options.version == session->record.version;
}

static void ask(
	struct turn *turn, struct lease_call *call, struct session *session, int64_t wait_ms)
{
	if (!is_current(call, session)) {
		write_told(turn, session);
		return;
	}
	struct lease_table *leases = leases_of(turn, session->shard);
	struct lease_terms terms = leases_terms(turn, call->options.lease_ms, wait_ms);
	struct lease_grant grant;
	call->serial = session->record.serial;
	enum lease_answer answer = lease_ask(leases, session_subject(session),
		turn_argument(turn, 2), &terms, &call->wait.waiter, leases_now_ms(turn), &grant);
	if (answer == LEASE_NOW)
		write_granted(turn, &grant);
	else if (answer == LEASE_HELD)
		write_held(turn, grant.ms);
	else
		lease_wait_begin(turn, &call->wait);
	leases_used(turn);
}

/* The wait is over, one way or another. The session may be another by now, or none. */
static void answer_wait(struct turn *turn, struct lease_call *call, struct session *session)
{
	struct lease_table *leases = leases_of(turn, call->wait.shard);
	struct slice subject = slice_of(&call->serial, sizeof(call->serial));
	const struct lease_grant *grant = &call->wait.waiter.grant;
	bool same = session->state == SESSION_LIVE && session->record.serial == call->serial;
	if (call->wait.stopped) {
		turn_error(turn, ERROR_SHUTTING_DOWN);
	} else if (call->wait.outcome == LEASE_GRANTED && same && is_current(call, session)) {
		write_granted(turn, grant);
	} else if (call->wait.outcome == LEASE_GRANTED) {
		lease_release(leases, subject, turn_argument(turn, 2), slice_text(grant->token),
			leases_now_ms(turn));
		if (same)
			write_told(turn, session);
		else
			writer_null_array(&turn->writer);
	} else if (!same) {
		writer_null_array(&turn->writer);
	} else if (call->wait.outcome == LEASE_FILLED) {
		write_told(turn, session);
	} else {
		/* It may be free by now; without waiting any more. */
		ask(turn, call, session, 0);
	}
	leases_used(turn);
}

void session_lease(struct turn *turn)
{
	struct lease_call *call = turn->state;
	struct slice id = turn_argument(turn, 1);
	struct session session;
	if (call == NULL) {
		call = arena_alloc(turn_arena(turn), sizeof(*call));
		if (!session_id_check(turn, id) ||
			!session_purpose_check(turn, turn_argument(turn, 2)) ||
			!session_options_parse(turn, 3,
				SESSION_OPTION_MS | SESSION_OPTION_WAIT | SESSION_OPTION_IFVERSION,
				&call->options))
			return;
		if (!(call->options.given & SESSION_OPTION_MS))
			call->options.lease_ms = LEASE_MS_DEFAULT;
		lease_wait_init(&call->wait, turn);
		turn->state = call;
	}
	bool live = session_open(&session, turn, id);
	if (live)
		session_touch(&session);
	if (call->wait.told)
		answer_wait(turn, call, &session);
	else if (live)
		ask(turn, call, &session, call->options.wait_ms);
	else
		writer_null_array(&turn->writer);
}

/* --- COMMIT and RELEASE ----------------------------------------------------------------------- */

/* The session whose lease the token may hold; false: answered with an error. */
static bool open_leased(struct turn *turn, struct session *session)
{
	if (!session_id_check(turn, turn_argument(turn, 1)) ||
		!session_purpose_check(turn, turn_argument(turn, 2)))
		return false;
	if (session_open(session, turn, turn_argument(turn, 1)))
		return true;
	if (session->state == SESSION_ABSENT)
		turn_error(turn, ERROR_LEASE_LOST);
	else
		session_refuse(session);
	return false;
}

void session_commit(struct turn *turn)
{
	struct slice token = turn_argument(turn, 3), json = turn_argument(turn, 4);
	struct slice purpose = turn_argument(turn, 2);
	struct session session;
	if (!session_json_check(turn, json) || !open_leased(turn, &session))
		return;
	struct lease_table *leases = leases_of(turn, session.shard);
	int64_t now_ms = leases_now_ms(turn);
	if (!lease_holds(leases, session_subject(&session), purpose, token, now_ms)) {
		turn_error(turn, ERROR_LEASE_LOST);
		return;
	}
	if (!session_merge(&session, json, false))
		return;
	session.record.version++;
	session.record.updated_ms = turn->now_ms;
	session_put(&session);
	leases_commit(turn, session_subject(&session), purpose, token);
	writer_integer(&turn->writer, (int64_t)session.record.version);
}

void session_release(struct turn *turn)
{
	struct session session;
	if (!open_leased(turn, &session))
		return;
	if (lease_release(leases_of(turn, session.shard), session_subject(&session),
		    turn_argument(turn, 2), turn_argument(turn, 3), leases_now_ms(turn)))
		writer_ok(&turn->writer);
	else
		turn_error(turn, ERROR_LEASE_LOST);
	leases_used(turn);
}
