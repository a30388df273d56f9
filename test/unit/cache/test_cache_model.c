/*
 * The protocol of the cache against a plain model: who asks, fills, fails, sets, deletes and
 * invalidates at random, goes away, waits; time passes, the machine crashes. Each answer is
 * foretold: its state, value, age, whether there is a token, when to retry; and who waits is
 * answered in the very step in which the model says so, so nobody is stranded. A value that was
 * fetched before an invalidation, and a token that has ended, are never taken.
 *
 * The model keeps whole entries and looks nothing up: an invalidation is written into each entry
 * and each lease at once, where the cache compares numbers later.
 *
 * HOLDFAST_SEED runs one world, HOLDFAST_LONG many.
 */
#include "cache_fixture.h"

#define KEYS          4
#define TAGS          3
#define CLIENTS       6
#define CALLS         12
#define VERSIONS      256
#define TOKENS        64
#define STEPS_A_WORLD 4000
#define STEPS_USUAL   2000000
#define STEPS_LONG    10000000

struct model_entry {
	bool present;
	bool absent;
	bool soft;
	bool lasting;
	uint32_t value; /* its number */
	uint32_t tags;  /* bits */
	int64_t filled_ms;
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t failed_until_ms;
};

struct call {
	struct engine_ticket *ticket; /* NULL: free */
	int key;
	uint32_t client;
	int64_t until_ms;
	int64_t lease_ms;
	int64_t ttl_ms; /* -1: the entry's */
	int64_t stale_ms;
	uint64_t order; /* in the line */
	bool waits;
};

struct model_lease {
	bool held;
	bool outdated; /* a prefix of the key was invalidated since it was granted */
	uint32_t outdated_tags;
	uint32_t client;
	int64_t until_ms;
	int64_t ttl_ms; /* what its call gave; -1: nothing */
	int64_t stale_ms;
	char token[64];
};

struct version {
	uint64_t lsn;
	struct model_entry entries[KEYS];
};

static struct {
	struct world *world;
	struct random dice;
	uint64_t seed;
	int step;
	bool in_memory;
	struct model_entry entries[KEYS];
	struct model_lease leases[KEYS];
	struct call calls[CALLS];
	uint64_t order;
	uint32_t values;
	struct version versions[VERSIONS]; /* since the last sync, the first is durable */
	int version_count;
	char tokens[TOKENS][64]; /* that were given out, most of them ended */
	int token_keys[TOKENS];
	uint64_t token_count;
} m;

static struct {
	uint64_t fresh, stale, refresh, lead, busy, failed, absent, coalesced, promoted, refused,
		outdated, crashes, lost, dropped, expired_leases, again;
} seen;

static uint64_t below(uint64_t bound)
{
	return random_below(&m.dice, bound);
}

static bool one_in(uint64_t count)
{
	return below(count) == 0;
}

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("seed %llu, step %d: %s", (unsigned long long)m.seed, m.step,     \
				#condition);                                                       \
	} while (0)

static int64_t now(void)
{
	return m.world->rig.now_ms;
}

/* --- what the table of states says ------------------------------------------------------------ */

static int64_t age_of(const struct model_entry *entry)
{
	return now() - entry->filled_ms;
}

static bool is_there(const struct model_entry *entry)
{
	return entry->present && age_of(entry) < entry->stale_ms;
}

static void value_text(const struct model_entry *entry, char out[32])
{
	snprintf(out, 32, "v%u", entry->value);
}

static void answered(struct call *call, const char *state, const struct model_entry *entry,
	bool granted, int64_t retry_ms)
{
	char value[32] = "";
	check(call->ticket->done);
	struct answer answer = answer_of(call->ticket);
	if (entry && !entry->absent)
		value_text(entry, value);
	if (strcmp(answer.state, state) != 0)
		fail_msg("seed %llu, step %d: %s in place of %s", (unsigned long long)m.seed,
			m.step, answer.state, state);
	check(strcmp(answer.value, value) == 0);
	check(answer.age_ms == (entry ? age_of(entry) : NOTHING));
	check((answer.token[0] != '\0') == granted);
	check(answer.retry_ms == retry_ms);
	if (granted) {
		struct model_lease *lease = &m.leases[call->key];
		check(!lease->held);
		*lease = (struct model_lease){ .held = true,
			.client = call->client,
			.until_ms = now() + call->lease_ms,
			.ttl_ms = call->ttl_ms,
			.stale_ms = call->stale_ms };
		strcpy(lease->token, answer.token);
		int at = (int)(m.token_count++ % TOKENS);
		strcpy(m.tokens[at], answer.token);
		m.token_keys[at] = call->key;
	}
	call->ticket = NULL;
}

static void wait_on(struct call *call)
{
	check(!call->ticket->done);
	call->waits = true;
	call->order = m.order++;
	seen.coalesced++;
}

static void nothing_there(struct call *call, bool waits)
{
	struct model_lease *lease = &m.leases[call->key];
	if (!lease->held) {
		seen.lead++;
		answered(call, "lead", NULL, true, NOTHING);
	} else if (waits && call->until_ms > now()) {
		wait_on(call);
	} else {
		seen.busy++;
		answered(call, "busy", NULL, false, lease->until_ms - now());
	}
}

static void judge(struct call *call, bool waits)
{
	const struct model_entry *entry = &m.entries[call->key];
	int64_t ttl_ms = call->ttl_ms >= 0 ? call->ttl_ms : entry->ttl_ms;
	int64_t stale_ms = call->ttl_ms >= 0 ? call->stale_ms : entry->stale_ms;
	bool fresh = is_there(entry) && !entry->soft && age_of(entry) < ttl_ms;
	bool usable = is_there(entry) && !entry->absent && age_of(entry) < stale_ms;
	if (fresh) {
		*(entry->absent ? &seen.absent : &seen.fresh) += 1;
		answered(call, entry->absent ? "absent" : "fresh", entry, false, NOTHING);
	} else if (usable && entry->failed_until_ms > now()) {
		seen.failed++;
		answered(call, "failed", entry, false, entry->failed_until_ms - now());
	} else if (usable && m.leases[call->key].held) {
		seen.stale++;
		answered(call, "stale", entry, false, NOTHING);
	} else if (usable) {
		seen.refresh++;
		answered(call, "refresh", entry, true, NOTHING);
	} else {
		nothing_there(call, waits);
	}
}

/* --- those who wait --------------------------------------------------------------------------- */

static struct call *first_waiting(int key)
{
	struct call *first = NULL;
	for (int i = 0; i < CALLS; i++) {
		struct call *call = &m.calls[i];
		if (call->ticket && call->waits && call->key == key &&
			(first == NULL || call->order < first->order))
			first = call;
	}
	return first;
}

/* The lease is free: the first who waits has it. */
static void hand_on(int key)
{
	struct call *call = first_waiting(key);
	m.leases[key].held = false;
	if (call == NULL)
		return;
	call->waits = false;
	seen.promoted++;
	const struct model_entry *entry = &m.entries[key];
	int64_t ttl_ms = call->ttl_ms >= 0 ? call->ttl_ms : entry->ttl_ms;
	if (is_there(entry) && !entry->soft && age_of(entry) < ttl_ms) {
		answered(call, entry->absent ? "absent" : "fresh", entry, false, NOTHING);
		hand_on(key);
	} else {
		answered(call, "lead", NULL, true, NOTHING);
	}
}

static void tell_filled(int key)
{
	struct call *call;
	m.leases[key].held = false;
	while ((call = first_waiting(key)) != NULL) {
		call->waits = false;
		answered(call, m.entries[key].absent ? "absent" : "fresh", &m.entries[key], false,
			NOTHING);
	}
}

/* All ask again, in their order. */
static void tell_gone(int key)
{
	struct call *told[CALLS], *call;
	int count = 0;
	m.leases[key].held = false;
	while ((call = first_waiting(key)) != NULL) {
		call->waits = false;
		told[count++] = call;
	}
	for (int i = 0; i < count; i++) {
		seen.again++;
		judge(told[i], true);
	}
}

static int64_t next_event_ms(void)
{
	int64_t next_ms = INT64_MAX;
	for (int i = 0; i < KEYS; i++)
		if (m.leases[i].held && m.leases[i].until_ms < next_ms)
			next_ms = m.leases[i].until_ms;
	for (int i = 0; i < CALLS; i++)
		if (m.calls[i].ticket && m.calls[i].waits && m.calls[i].until_ms < next_ms)
			next_ms = m.calls[i].until_ms;
	return next_ms;
}

/* Waits end before leases; who has waited in vain asks once more when both are done. */
static void events_of(int key)
{
	struct call *timed[CALLS];
	int count = 0;
	for (uint64_t order = 0; order < m.order && count < CALLS;) {
		struct call *first = NULL;
		for (int i = 0; i < CALLS; i++) {
			struct call *call = &m.calls[i];
			if (call->ticket && call->waits && call->key == key &&
				call->until_ms <= now() &&
				(first == NULL || call->until_ms < first->until_ms ||
					(call->until_ms == first->until_ms &&
						call->order < first->order)))
				first = call;
		}
		if (first == NULL)
			break;
		first->waits = false;
		timed[count++] = first;
	}
	bool ends = m.leases[key].held && m.leases[key].until_ms <= now();
	struct call *next = ends ? first_waiting(key) : NULL;
	if (ends)
		seen.expired_leases++;
	if (ends && next == NULL)
		m.leases[key].held = false;
	if (next) /* it holds the lease already, for its own time */
		m.leases[key].until_ms = now() + next->lease_ms;
	for (int i = 0; i < count; i++)
		judge(timed[i], false);
	if (next)
		hand_on(key);
}

static void run_events(void)
{
	run_due(m.world);
	for (int key = 0; key < KEYS; key++)
		events_of(key);
}

static void pass_time(int64_t ms)
{
	int64_t end_ms = now() + ms;
	while (now() < end_ms) {
		int64_t next_ms = next_event_ms(), wake_ms = INT64_MAX;
		for (uint16_t port = 0; port < m.world->workers; port++)
			if (m.world->wake_ms[port] < wake_ms)
				wake_ms = m.world->wake_ms[port];
		check(wake_ms <= next_ms); /* somebody will look when something is due */
		m.world->rig.now_ms = next_ms < end_ms ? next_ms : end_ms;
		run_events();
	}
}

/* --- commands --------------------------------------------------------------------------------- */

static int any_key(void)
{
	return (int)below(KEYS);
}

static bool is(const char *reply, const char *start)
{
	return strncmp(reply, start, strlen(start)) == 0;
}

static void do_swr(void)
{
	char text[160], windows[48] = "";
	struct call *call = NULL;
	for (int i = 0; i < CALLS && !call; i++)
		if (m.calls[i].ticket == NULL)
			call = &m.calls[i];
	if (call == NULL)
		return;
	int64_t wait_ms = one_in(2) ? 0 : 1 + (int64_t)below(3000);
	*call = (struct call){
		.key = any_key(),
		.client = 1 + (uint32_t)below(CLIENTS),
		.lease_ms = 1 + (int64_t)below(one_in(4) ? 20 : 4000),
		.ttl_ms = -1,
	};
	if (one_in(6)) {
		call->ttl_ms = (int64_t)below(4) * 1000;
		call->stale_ms = call->ttl_ms + (int64_t)below(4) * 1000;
		snprintf(windows, sizeof(windows), " %d %d", (int)(call->ttl_ms / 1000),
			(int)(call->stale_ms / 1000));
	}
	call->until_ms = now() + wait_ms;
	m.world->rig.client = call->client;
	snprintf(text, sizeof(text), "cache.swr k%d%s WAIT %d LEASE %d", call->key, windows,
		(int)wait_ms, (int)call->lease_ms);
	call->ticket = send_text(m.world, (uint16_t)below(m.world->workers), text);
	engine_rig_deliver(&m.world->rig);
	judge(call, wait_ms > 0);
}

struct lives {
	char text[96];
	struct model_entry entry;
};

static void add_text(struct lives *lives, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void add_text(struct lives *lives, const char *format, ...)
{
	va_list list;
	size_t size = strlen(lives->text);
	va_start(list, format);
	vsnprintf(lives->text + size, sizeof(lives->text) - size, format, list);
	va_end(list);
}

/* Of SET and FILL; the lease gives what a FILL leaves out, then `before`. */
static struct lives any_lives(const struct model_entry *before, const struct model_lease *lease)
{
	struct lives lives = { .entry = { .present = true, .filled_ms = now() } };
	struct model_entry *entry = &lives.entry;
	entry->value = ++m.values;
	entry->ttl_ms = entry->stale_ms = LIMIT_CACHE_AGE_MS;
	entry->lasting = true;
	if (before && is_there(before) && !before->absent) {
		entry->ttl_ms = before->ttl_ms;
		entry->stale_ms = before->stale_ms;
		entry->lasting = before->lasting;
	}
	bool from_lease = lease && lease->ttl_ms >= 0;
	if (from_lease) {
		entry->ttl_ms = lease->ttl_ms;
		entry->stale_ms = lease->stale_ms;
		entry->lasting = false;
	}
	if (!one_in(5) || (from_lease && entry->ttl_ms == 0)) {
		entry->ttl_ms = (int64_t)below(5) * 1000;
		/* Without a place in memory nobody would find one without a life. */
		if (entry->ttl_ms == 0 && (!before || !m.in_memory))
			entry->ttl_ms = 1000;
		entry->stale_ms = entry->ttl_ms;
		entry->lasting = false;
		add_text(&lives, " TTL %d", (int)(entry->ttl_ms / 1000));
		if (one_in(2)) {
			entry->stale_ms += (int64_t)below(5) * 1000;
			add_text(&lives, " STALE %d", (int)(entry->stale_ms / 1000));
		}
	}
	if (one_in(2)) {
		entry->tags = 1 + (uint32_t)below((1 << TAGS) - 1);
		add_text(&lives, " TAGS %d", __builtin_popcount(entry->tags));
		for (int i = 0; i < TAGS; i++)
			if (entry->tags >> i & 1)
				add_text(&lives, " t%d", i);
	}
	return lives;
}

static void do_set(void)
{
	int key = any_key();
	struct lives lives = any_lives(NULL, NULL);
	bool nx = one_in(4);
	const char *reply = ask(m.world, "cache.set k%d v%u%s%s", key, lives.entry.value,
		lives.text, nx ? " NX" : "");
	if (nx && is_there(&m.entries[key])) {
		check(is(reply, "$-1"));
		return;
	}
	check(is(reply, "+OK"));
	m.entries[key] = lives.entry;
	tell_gone(key);
}

static void do_del(void)
{
	int one = any_key(), two = one_in(2) ? any_key() : one;
	int expected = is_there(&m.entries[one]) + (two != one && is_there(&m.entries[two]));
	char text[64];
	if (two == one)
		snprintf(text, sizeof(text), "cache.del k%d", one);
	else
		snprintf(text, sizeof(text), "cache.del k%d k%d", one, two);
	const char *reply = ask(m.world, "%s", text);
	check(reply[0] == ':' && atoi(reply + 1) == expected);
	m.entries[one].present = m.entries[two].present = false;
	if (two != one)
		expire(m.world); /* who waited at another's shard is told when that looks */
	tell_gone(one);
	if (two != one)
		tell_gone(two);
}

/* A token that was given out; mostly one that holds. */
static const char *any_token(int *key)
{
	*key = any_key();
	if (!one_in(5)) {
		for (int i = 0; i < KEYS; i++, *key = (*key + 1) % KEYS)
			if (m.leases[*key].held)
				return m.leases[*key].token;
	}
	if (m.token_count == 0)
		return "none";
	int at = (int)below(m.token_count < TOKENS ? m.token_count : TOKENS);
	if (!one_in(4))
		*key = m.token_keys[at];
	return m.tokens[at];
}

static bool holds(int key, const char *token)
{
	return m.leases[key].held && strcmp(m.leases[key].token, token) == 0;
}

static void stored(int key, const char *reply, bool held, const struct model_entry *entry)
{
	const struct model_lease *lease = &m.leases[key];
	/* What stood there before counts with its tags for as long as the store still has it, which
	 * the model does not know. */
	bool before = (lease->outdated_tags & m.entries[key].tags) && is(reply, "-LEASELOST");
	if (!held) {
		seen.refused++;
		check(is(reply, "-LEASELOST"));
	} else if (before || lease->outdated || (lease->outdated_tags & entry->tags)) {
		seen.outdated++;
		check(is(reply, "-LEASELOST"));
		hand_on(key);
	} else {
		check(is(reply, "+OK"));
		m.entries[key] = *entry;
		tell_filled(key);
		if (entry->stale_ms == 0)
			m.entries[key].present = false;
	}
}

static void do_fill(void)
{
	int key;
	const char *token = any_token(&key);
	bool held = holds(key, token);
	struct lives lives = any_lives(&m.entries[key], held ? &m.leases[key] : NULL);
	const char *reply =
		ask(m.world, "cache.fill k%d %s v%u%s", key, token, lives.entry.value, lives.text);
	stored(key, reply, held, &lives.entry);
}

static void do_absent(void)
{
	int key;
	const char *token = any_token(&key);
	bool held = holds(key, token);
	struct model_entry entry = { .present = true, .absent = true, .filled_ms = now() };
	entry.ttl_ms = entry.stale_ms = 1000 + (int64_t)below(3) * 1000;
	const char *reply =
		ask(m.world, "cache.absent k%d %s TTL %d", key, token, (int)(entry.ttl_ms / 1000));
	stored(key, reply, held, &entry);
}

static void do_fail(void)
{
	int key;
	const char *token = any_token(&key);
	bool held = holds(key, token);
	int retry_ms = (int)below(3000);
	const char *reply = ask(m.world, "cache.fail k%d %s RETRY %d", key, token, retry_ms);
	check(is(reply, held ? "+OK" : "-LEASELOST"));
	if (!held)
		return;
	if (m.in_memory && is_there(&m.entries[key]))
		m.entries[key].failed_until_ms = now() + retry_ms;
	hand_on(key);
}

static void do_renew(void)
{
	int key;
	const char *token = any_token(&key);
	bool held = holds(key, token);
	int ms = 1 + (int)below(4000);
	const char *reply = ask(m.world, "cache.renew k%d %s %d", key, token, ms);
	check(is(reply, held ? "+OK" : "-LEASELOST"));
	if (held)
		m.leases[key].until_ms = now() + ms;
}

static void mark(struct model_entry *entry, bool soft)
{
	if (soft)
		entry->soft = true;
	else
		entry->present = false;
}

static void do_invalidate(void)
{
	uint64_t choice = below(3);
	bool soft = one_in(2);
	const char *how = soft ? " soft" : "";
	int key = any_key(), tag = (int)below(TAGS);
	bool all = one_in(2);
	if (choice == 0) {
		ask(m.world, "cache.invalidate key k%d%s", key, how);
		mark(&m.entries[key], soft);
		m.entries[key].failed_until_ms = 0;
		tell_gone(key);
	} else if (choice == 1) {
		ask(m.world, "cache.invalidate tag t%d%s", tag, how);
		for (int i = 0; i < KEYS; i++) {
			m.leases[i].outdated_tags |= 1u << tag;
			if (m.entries[i].tags >> tag & 1)
				mark(&m.entries[i], soft);
		}
	} else {
		if (all)
			ask(m.world, "cache.invalidate prefix k%s", how);
		else
			ask(m.world, "cache.invalidate prefix k%d%s", key, how);
		for (int i = 0; i < KEYS; i++) {
			if (!all && i != key)
				continue;
			m.leases[i].outdated = true;
			mark(&m.entries[i], soft);
		}
	}
}

static void do_get(void)
{
	char expected[64] = "$-1\r\n", value[32];
	int key = any_key();
	const struct model_entry *entry = &m.entries[key];
	if (is_there(entry) && !entry->absent && !entry->soft && age_of(entry) < entry->ttl_ms) {
		value_text(entry, value);
		snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(value), value);
	}
	check(strcmp(ask(m.world, "cache.get k%d", key), expected) == 0);
}

/* Its waiters are told, then its leases handed on. What it is still given as it goes ends as well,
 * as with a connection that closes while its requests come home. */
static void do_drop(uint32_t client)
{
	seen.dropped++;
	leases_forget_client(m.world->leases, 0, client);
	engine_rig_deliver(&m.world->rig);
	bool again = false;
	for (int key = 0; key < KEYS; key++) {
		struct call *told[CALLS];
		int count = 0;
		for (;; count++) {
			struct call *first = NULL;
			for (int i = 0; i < CALLS; i++) {
				struct call *call = &m.calls[i];
				if (call->ticket && call->waits && call->key == key &&
					call->client == client &&
					(first == NULL || call->order < first->order))
					first = call;
			}
			if (first == NULL)
				break;
			first->waits = false;
			told[count] = first;
		}
		bool ends = m.leases[key].held && m.leases[key].client == client;
		struct call *next = ends ? first_waiting(key) : NULL;
		if (ends && next == NULL)
			m.leases[key].held = false;
		if (next)
			m.leases[key].until_ms = now() + next->lease_ms;
		for (int i = 0; i < count; i++)
			judge(told[i], false);
		if (next)
			hand_on(key);
		again |= m.leases[key].held && m.leases[key].client == client;
	}
	if (again)
		do_drop(client);
}

/* --- restarts --------------------------------------------------------------------------------- */

static void note_version(void)
{
	uint64_t lsn = gate_appended(m.world->rig.engine->gate);
	check(m.version_count < VERSIONS);
	struct version *last = &m.versions[m.version_count - 1];
	if (last->lsn != lsn)
		last = &m.versions[m.version_count++];
	last->lsn = lsn;
	memcpy(last->entries, m.entries, sizeof(m.entries));
}

static void do_sync(void)
{
	struct gate *gate = m.world->rig.engine->gate;
	while (gate_durable(gate) < gate_appended(gate)) {
		gate_keeper_step(gate);
		gate_step(gate);
	}
	m.versions[0] = m.versions[m.version_count - 1];
	m.version_count = 1;
}

static bool nobody_waits(void)
{
	for (int i = 0; i < CALLS; i++)
		if (m.calls[i].ticket)
			return false;
	return true;
}

static void do_restart(bool crash)
{
	if (!crash)
		do_sync();
	seen.crashes += crash;
	if (crash) {
		close_cache(m.world);
		engine_rig_crash(&m.world->rig);
		open_cache(m.world);
	} else {
		close_cache(m.world);
		engine_rig_close(&m.world->rig);
		open_cache(m.world);
	}
	uint64_t lsn = gate_appended(m.world->rig.engine->gate);
	int last = m.version_count - 1;
	while (last > 0 && m.versions[last].lsn > lsn)
		last--;
	seen.lost += last < m.version_count - 1;
	check(m.versions[last].lsn <= lsn);
	memcpy(m.entries, m.versions[last].entries, sizeof(m.entries));
	for (int i = 0; i < KEYS; i++) {
		m.entries[i].failed_until_ms = 0;
		m.leases[i] = (struct model_lease){ 0 };
	}
	memset(m.calls, 0, sizeof(m.calls)); /* their connections are gone */
	m.versions[0].lsn = lsn;
	memcpy(m.versions[0].entries, m.entries, sizeof(m.entries));
	m.version_count = 1;
}

/* --- the driver ------------------------------------------------------------------------------- */

static void act(void)
{
	uint64_t choice = below(1000);
	if (choice < 420)
		do_swr();
	else if (choice < 530)
		do_fill();
	else if (choice < 570)
		do_fail();
	else if (choice < 600)
		do_absent();
	else if (choice < 620)
		do_renew();
	else if (choice < 670)
		do_set();
	else if (choice < 700)
		do_del();
	else if (choice < 750)
		do_invalidate();
	else if (choice < 800)
		do_get();
	else if (choice < 815)
		do_drop(1 + (uint32_t)below(CLIENTS));
	else if (choice < 960)
		pass_time((int64_t)below(one_in(4) ? 3000 : 300));
	else if (choice < 985)
		expire(m.world);
	else if (choice < 995)
		do_sync();
	else if (choice < 997 && nobody_waits()) {
		do_sync();
		engine_rig_checkpoint(&m.world->rig);
	} else if (choice < 999)
		do_restart(true);
	else
		do_restart(false);
}

static void check_step(void)
{
	for (int i = 0; i < CALLS; i++)
		if (m.calls[i].ticket)
			check(m.calls[i].waits && !m.calls[i].ticket->done &&
				m.leases[m.calls[i].key].held);
	note_version();
	if (m.version_count > VERSIONS - 8)
		do_sync();
}

static void run_world(uint64_t seed)
{
	memset(&m, 0, sizeof(m));
	m.seed = seed;
	random_seed(&m.dice, seed);
	m.world = world_new(1 + (uint16_t)(seed % 2), seed);
	m.in_memory = seed % 3 != 0;
	m.world->rig.config.cache_memory_bytes = m.in_memory ? MEMORY_FULL : MEMORY_NONE;
	m.version_count = 1;
	for (m.step = 1; m.step <= STEPS_A_WORLD; m.step++) {
		act();
		check_step();
	}
	pass_time(10000); /* nobody waits for ever */
	check(nobody_waits());
	world_free(m.world);
}

static void does_what_the_model_does(void **state)
{
	const char *seed = getenv("HOLDFAST_SEED");
	if (seed) {
		run_world(strtoull(seed, NULL, 10));
		return;
	}
	uint64_t steps = getenv("HOLDFAST_LONG") ? STEPS_LONG : STEPS_USUAL;
	for (uint64_t i = 0; i < steps / STEPS_A_WORLD; i++)
		run_world(i + 1);
	/* A driver that never gets somewhere proves nothing of it. */
	const uint64_t counts[] = { seen.fresh, seen.stale, seen.refresh, seen.lead, seen.busy,
		seen.failed, seen.absent, seen.coalesced, seen.promoted, seen.refused,
		seen.outdated, seen.crashes, seen.lost, seen.dropped, seen.expired_leases,
		seen.again };
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		assert_in_range(counts[i], 100, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_what_the_model_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
