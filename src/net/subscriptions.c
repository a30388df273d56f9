/*
 * subscriptions: who listens to which channels and patterns, and the way of a message to them.
 *
 *   registry (lock)        name -> on how many connections, by loop       asked by publishers
 *   subscribers (a loop)   name -> audience: its connections              asked when it delivers
 *
 *   publish: which loops? --> one message, counted --> an inbox a loop --> deliver: frame --> `out`
 *
 * A publisher's own loop has an inbox too, and empties it at once; another loop is woken by the
 * first message in its empty one. Messages enter the inboxes under the lock, so all subscribers see
 * all messages in one order. A loop empties its inbox before a subscription changes: nobody gets
 * what was published before, or misses it. Without any subscription publishing is one relaxed read.
 *
 * Delivery only appends to connections and closes none, so lists stay as they are meanwhile: a
 * client over its output limit is noted as killed (output_push).
 *
 * Threads: `struct subscriptions` is shared, under its lock, a leaf; `struct subscribers` and the
 * subscriptions of a connection are their loop's own, but for the inbox.
 */
#include "net/subscriptions.h"

#include "base/glob.h"
#include "base/hash.h"
#include "base/hash_table.h"
#include "base/list.h"
#include "base/memory.h"
#include "holdfast/errors.h"
#include "holdfast/limits.h"
#include "net/net_private.h"
#include "net/output.h"
#include "resp/writer.h"

#include <assert.h>

#define SUBSCRIPTION_COST 256 /* bytes around a name, counted for the limit */
#define FRAME_KEEP_BYTES  (16 * 1024)
#define DELIVER_NS_MAX    1000000 /* of messages, between two looks at the sockets */

/* A channel or a pattern that somebody subscribes to. Under the lock, but for its name. */
struct topic {
	struct hash_node node;
	struct slice name; /* constant; behind `loops` */
	struct glob glob;  /* constant; of a pattern */
	uint32_t subscriber_count;
	uint32_t loops[]; /* of them, by loop */
};

/* A topic's subscribers on one loop. */
struct audience {
	struct hash_node node;
	struct topic *topic; /* which lives as long as it is counted in it */
	struct list subscriptions;
};

struct subscription {
	struct hash_node node; /* by audience and connection */
	struct audience *audience;
	struct connection *connection;
	struct list_node in_audience;
	struct list_node in_connection; /* the oldest first */
	enum subscription_kind kind;
	size_t target; /* its place among the subscribers' targets, from 1 on; 0: none */
};

struct post {
	struct post *next;
	struct message *message;
};

/* One for all loops; its posts, channel and text stand behind it. */
struct message {
	_Atomic uint32_t posts_left;
	uint64_t lsn;
	struct slice channel;
	struct slice text;
	size_t bytes;
	struct post posts[];
};

struct subscriptions {
	pthread_mutex_t lock;
	struct hash_table topics[SUBSCRIPTION_KINDS];
	size_t pattern_bytes;           /* of `topics`, as cost_of counts */
	_Atomic uint64_t waiting_bytes; /* in all inboxes */
	_Atomic uint64_t bytes;         /* of all connections', as cost_of counts */
};

struct subscribers {
	struct hash_table audiences[SUBSCRIPTION_KINDS];
	struct hash_table subscriptions;
	bool *reached;      /* by loop: what publishing found */
	struct post *taken; /* out of the inbox, and not delivered yet */

	/* of the first of these: who is to get it, those of one audience one after the other */
	bool has_targets;
	struct subscription **targets; /* NULL: has been ended since */
	size_t target_count;
	size_t target_next;
	size_t target_capacity;
	struct buffer frame; /* the message as subscribers of this audience get it */
	const struct audience *framed;

	/* the inbox, under the lock */
	struct post *inbox_first;
	struct post *inbox_last;
	_Atomic bool has_mail;
};

static void take_out(struct hash_table *table, struct hash_node *node)
{
	hash_table_remove(table, node);
	hash_table_fit(table);
}

/* --- the registry, under the lock ------------------------------------------------------------- */

static struct topic *find_topic(const struct hash_table *topics, struct slice name, uint64_t hash)
{
	struct hash_node *node = hash_table_first(topics, hash);
	for (; node; node = hash_table_next(node)) {
		struct topic *topic = container_of(node, struct topic, node);
		if (slice_equal(topic->name, name))
			return topic;
	}
	return NULL;
}

static size_t cost_of(enum subscription_kind kind, struct slice name)
{
	size_t table = kind == SUBSCRIPTION_PATTERN ? glob_bytes(name, false) : 0;
	return name.size + table + SUBSCRIPTION_COST;
}

static struct topic *make_topic(struct hash_table *topics, enum subscription_kind kind,
	struct slice name, uint64_t hash, uint16_t loop_count)
{
	size_t size = sizeof(struct topic) + loop_count * sizeof(uint32_t);
	struct topic *topic = memory_zeroed(size + name.size);
	char *copy = (char *)topic + size;
	if (name.size)
		memcpy(copy, name.data, name.size);
	topic->name = slice_of(copy, name.size);
	if (kind == SUBSCRIPTION_PATTERN)
		glob_init(&topic->glob, topic->name, false);
	hash_table_add(topics, &topic->node, hash);
	return topic;
}

/* Takes and frees. */
static void free_topic(struct topic *topic)
{
	glob_fini(&topic->glob);
	memory_free(topic);
}

static struct topic *count_in(
	struct net_loop *loop, enum subscription_kind kind, struct slice name, uint64_t hash)
{
	struct net *net = loop->net;
	struct hash_table *topics = &net->subscriptions->topics[kind];
	pthread_mutex_lock(&net->subscriptions->lock);
	struct topic *topic = find_topic(topics, name, hash);
	if (topic == NULL) {
		topic = make_topic(topics, kind, name, hash, net->loop_count);
		if (kind == SUBSCRIPTION_PATTERN)
			net->subscriptions->pattern_bytes += cost_of(kind, name);
	}
	topic->subscriber_count++;
	topic->loops[loop->number]++;
	pthread_mutex_unlock(&net->subscriptions->lock);
	atomic_fetch_add_explicit(&net->engine->events.subscriptions, 1, memory_order_relaxed);
	return topic;
}

static void count_out(struct net_loop *loop, enum subscription_kind kind, struct topic *topic)
{
	struct net *net = loop->net;
	struct hash_table *topics = &net->subscriptions->topics[kind];
	pthread_mutex_lock(&net->subscriptions->lock);
	topic->subscriber_count--;
	topic->loops[loop->number]--;
	bool forgotten = topic->subscriber_count == 0;
	if (forgotten) {
		take_out(topics, &topic->node);
		if (kind == SUBSCRIPTION_PATTERN)
			net->subscriptions->pattern_bytes -= cost_of(kind, topic->name);
	}
	pthread_mutex_unlock(&net->subscriptions->lock);
	if (forgotten)
		free_topic(topic);
	atomic_fetch_sub_explicit(&net->engine->events.subscriptions, 1, memory_order_relaxed);
}

static uint64_t count_reached(const struct topic *topic, bool *reached, uint16_t loop_count)
{
	for (uint16_t i = 0; i < loop_count; i++)
		reached[i] |= topic->loops[i] > 0;
	return topic->subscriber_count;
}

/* Who would get a message for the channel: how many, and on which loops. */
static uint64_t find_reached(struct net *net, struct slice channel, bool *reached)
{
	struct subscriptions *subscriptions = net->subscriptions;
	const struct hash_table *channels = &subscriptions->topics[SUBSCRIPTION_CHANNEL];
	const struct hash_table *patterns = &subscriptions->topics[SUBSCRIPTION_PATTERN];
	uint64_t hash = hash_bytes(channel), count = 0;
	memset(reached, 0, net->loop_count * sizeof(*reached));
	pthread_mutex_lock(&subscriptions->lock);
	const struct topic *topic = find_topic(channels, channel, hash);
	if (topic)
		count += count_reached(topic, reached, net->loop_count);
	const struct hash_node *node = hash_table_any(patterns);
	for (; node; node = hash_table_after(patterns, node)) {
		topic = container_of(node, struct topic, node);
		if (glob_matches(&topic->glob, channel))
			count += count_reached(topic, reached, net->loop_count);
	}
	pthread_mutex_unlock(&subscriptions->lock);
	return count;
}

/* --- subscribing ------------------------------------------------------------------------------ */

static uint64_t hash_of_pair(const struct audience *audience, const struct connection *connection)
{
	const void *pair[2] = { audience, connection };
	return hash_bytes(slice_of(pair, sizeof(pair)));
}

static struct audience *find_audience(const struct hash_table *audiences, struct slice name)
{
	struct hash_node *node = hash_table_first(audiences, hash_bytes(name));
	for (; node; node = hash_table_next(node)) {
		struct audience *audience = container_of(node, struct audience, node);
		if (slice_equal(audience->topic->name, name))
			return audience;
	}
	return NULL;
}

static struct subscription *find_subscription(const struct subscribers *subscribers,
	const struct audience *audience, const struct connection *connection)
{
	uint64_t hash = hash_of_pair(audience, connection);
	struct hash_node *node = hash_table_first(&subscribers->subscriptions, hash);
	for (; node; node = hash_table_next(node)) {
		struct subscription *subscription = container_of(node, struct subscription, node);
		if (subscription->audience == audience && subscription->connection == connection)
			return subscription;
	}
	return NULL;
}

/* Whether all patterns, these too, are few enough. */
static bool patterns_fit(
	struct subscriptions *subscriptions, const struct slice *names, uint32_t count)
{
	const struct hash_table *patterns = &subscriptions->topics[SUBSCRIPTION_PATTERN];
	pthread_mutex_lock(&subscriptions->lock);
	size_t bytes = subscriptions->pattern_bytes;
	for (uint32_t i = 0; i < count && bytes <= LIMIT_PATTERNS_BYTES; i++) {
		if (find_topic(patterns, names[i], hash_bytes(names[i])) == NULL)
			bytes += cost_of(SUBSCRIPTION_PATTERN, names[i]);
	}
	pthread_mutex_unlock(&subscriptions->lock);
	return bytes <= LIMIT_PATTERNS_BYTES;
}

const char *subscriptions_refuse(const struct connection *connection, enum subscription_kind kind,
	const struct slice *names, uint32_t count)
{
	size_t bytes = connection->subscription_bytes;
	for (uint32_t i = 0; i < count && bytes <= LIMIT_SUBSCRIPTIONS_BYTES; i++)
		bytes += cost_of(kind, names[i]);
	if (bytes > LIMIT_SUBSCRIPTIONS_BYTES)
		return ERROR_SUBSCRIPTIONS;
	const struct net *net = connection->loop->net;
	if (net->subscriptions->bytes + bytes - connection->subscription_bytes >
		(uint64_t)net->config->input_bytes_max)
		return ERROR_SUBSCRIPTIONS_ALL;
	if (kind == SUBSCRIPTION_PATTERN && !patterns_fit(net->subscriptions, names, count))
		return ERROR_PATTERNS;
	return NULL;
}

/* Who subscribes or leaves gets what was published before, and nothing of it, respectively. */
static void deliver_all(struct net_loop *loop)
{
	while (subscriptions_deliver(loop))
		;
}

static void count_bytes(struct connection *connection, int64_t more)
{
	struct subscriptions *subscriptions = connection->loop->net->subscriptions;
	connection->subscription_bytes += (size_t)more;
	atomic_fetch_add_explicit(&subscriptions->bytes, (uint64_t)more, memory_order_relaxed);
}

void subscriptions_add(
	struct connection *connection, enum subscription_kind kind, struct slice name)
{
	struct net_loop *loop = connection->loop;
	struct subscribers *subscribers = loop->subscribers;
	deliver_all(loop);
	struct audience *audience = find_audience(&subscribers->audiences[kind], name);
	if (audience && find_subscription(subscribers, audience, connection))
		return;
	uint64_t hash = hash_bytes(name);
	struct topic *topic = count_in(loop, kind, name, hash);
	if (audience == NULL) {
		audience = memory_zeroed(sizeof(*audience));
		audience->topic = topic;
		hash_table_add(&subscribers->audiences[kind], &audience->node, hash);
	}
	struct subscription *subscription = memory_zeroed(sizeof(*subscription));
	subscription->audience = audience;
	subscription->connection = connection;
	subscription->kind = kind;
	hash_table_add(&subscribers->subscriptions, &subscription->node,
		hash_of_pair(audience, connection));
	list_prepend(&audience->subscriptions, &subscription->in_audience);
	list_append(&connection->subscriptions[kind], &subscription->in_connection);
	count_bytes(connection, (int64_t)cost_of(kind, name));
	connection->client.shared_subscriptions[kind]++;
}

/* Takes and frees. */
static void remove_one(struct net_loop *loop, struct subscription *subscription)
{
	struct subscribers *subscribers = loop->subscribers;
	struct audience *audience = subscription->audience;
	struct topic *topic = audience->topic;
	struct connection *connection = subscription->connection;
	enum subscription_kind kind = subscription->kind;
	count_bytes(connection, -(int64_t)cost_of(kind, topic->name));
	connection->client.shared_subscriptions[kind]--;
	if (subscription->target)
		subscribers->targets[subscription->target - 1] = NULL;
	list_remove(&audience->subscriptions, &subscription->in_audience);
	list_remove(&connection->subscriptions[kind], &subscription->in_connection);
	take_out(&subscribers->subscriptions, &subscription->node);
	memory_free(subscription);
	if (audience->subscriptions.first == NULL) {
		take_out(&subscribers->audiences[kind], &audience->node);
		memory_free(audience);
	}
	count_out(loop, kind, topic);
}

void subscriptions_remove(
	struct connection *connection, enum subscription_kind kind, struct slice name)
{
	struct net_loop *loop = connection->loop;
	deliver_all(loop);
	const struct audience *audience = find_audience(&loop->subscribers->audiences[kind], name);
	struct subscription *subscription =
		audience ? find_subscription(loop->subscribers, audience, connection) : NULL;
	if (subscription)
		remove_one(loop, subscription);
}

static struct subscription *oldest_of(
	const struct connection *connection, enum subscription_kind kind)
{
	struct list_node *first = connection->subscriptions[kind].first;
	return first ? container_of(first, struct subscription, in_connection) : NULL;
}

bool subscriptions_oldest(
	const struct connection *connection, enum subscription_kind kind, struct slice *name)
{
	const struct subscription *oldest = oldest_of(connection, kind);
	if (oldest)
		*name = oldest->audience->topic->name;
	return oldest != NULL;
}

uint32_t subscriptions_count(const struct connection *connection)
{
	uint32_t count = 0;
	for (int kind = 0; kind < SUBSCRIPTION_KINDS; kind++)
		count += atomic_load_explicit(
			&connection->client.shared_subscriptions[kind], memory_order_relaxed);
	return count;
}

bool subscriptions_drop(struct connection *connection, size_t most)
{
	for (int kind = 0; kind < SUBSCRIPTION_KINDS; kind++) {
		struct subscription *oldest;
		for (; (oldest = oldest_of(connection, kind)) != NULL; most--) {
			if (most == 0)
				return false;
			remove_one(connection->loop, oldest);
		}
	}
	return true;
}

/* --- publishing ------------------------------------------------------------------------------- */

static struct message *make_message(
	struct slice channel, struct slice text, uint64_t lsn, uint32_t posts)
{
	size_t head = sizeof(struct message) + posts * sizeof(struct post);
	size_t bytes = head + channel.size + text.size;
	struct message *message = memory_alloc(bytes);
	char *copy = (char *)message + head;
	if (channel.size)
		memcpy(copy, channel.data, channel.size);
	if (text.size)
		memcpy(copy + channel.size, text.data, text.size);
	message->posts_left = posts;
	message->lsn = lsn;
	message->channel = slice_of(copy, channel.size);
	message->text = slice_of(copy + channel.size, text.size);
	message->bytes = bytes;
	return message;
}

/* False when it was not empty: its loop is on its way to it already. */
static bool put_into_inbox(struct subscribers *subscribers, struct post *post)
{
	bool was_empty = subscribers->inbox_first == NULL;
	post->next = NULL;
	if (was_empty)
		subscribers->inbox_first = post;
	else
		subscribers->inbox_last->next = post;
	subscribers->inbox_last = post;
	atomic_store_explicit(&subscribers->has_mail, true, memory_order_release);
	return was_empty;
}

/* `reached` becomes: whom to wake. */
static void post_all(struct net *net, struct message *message, bool *reached)
{
	struct subscriptions *subscriptions = net->subscriptions;
	uint32_t posts = message->posts_left, used = 0;
	atomic_fetch_add_explicit(
		&subscriptions->waiting_bytes, posts * message->bytes, memory_order_relaxed);
	pthread_mutex_lock(&subscriptions->lock);
	for (uint16_t i = 0; i < net->loop_count; i++) {
		if (!reached[i])
			continue;
		struct post *post = &message->posts[used++];
		post->message = message;
		reached[i] = put_into_inbox(net->loops[i].subscribers, post);
	}
	assert(used == posts);
	pthread_mutex_unlock(&subscriptions->lock);
}

static uint64_t publish(
	struct net_loop *self, struct slice channel, struct slice text, uint64_t lsn)
{
	struct net *net = self->net;
	bool *reached = self->subscribers->reached;
	if (atomic_load_explicit(&net->engine->events.subscriptions, memory_order_relaxed) == 0)
		return 0;
	uint64_t receivers = find_reached(net, channel, reached);
	if (receivers == 0)
		return 0;
	uint32_t posts = 0;
	for (uint16_t i = 0; i < net->loop_count; i++)
		posts += reached[i];
	post_all(net, make_message(channel, text, lsn, posts), reached);
	for (uint16_t i = 0; i < net->loop_count; i++) {
		if (reached[i] && i != self->number)
			loop_wake(&net->loops[i]);
	}
	subscriptions_deliver(self);
	return receivers;
}

uint64_t subscriptions_publish(
	struct connection *connection, struct slice channel, struct slice message)
{
	return publish(connection->loop, channel, message, connection->order.gate_lsn);
}

/* An event of a turn: see struct engine_events. */
static void publish_event(
	void *context, uint16_t port, struct slice channel, struct slice message, uint64_t lsn)
{
	struct net *net = context;
	publish(&net->loops[port], channel, message, lsn);
}

/* --- delivering ------------------------------------------------------------------------------- */

/* `pattern` NULL: to those who subscribe to the channel itself. */
static void write_frame(
	struct buffer *frame, const struct slice *pattern, const struct message *message)
{
	struct writer writer = { .out = frame, .protocol = 3 };
	frame->size = 0;
	writer_push(&writer, pattern ? 4 : 3);
	writer_bulk_text(&writer, pattern ? "pmessage" : "message");
	if (pattern)
		writer_bulk(&writer, *pattern);
	writer_bulk(&writer, message->channel);
	writer_bulk(&writer, message->text);
}

static void add_targets(struct subscribers *subscribers, const struct audience *audience)
{
	const struct list_node *node = audience->subscriptions.first;
	for (; node; node = node->next) {
		if (subscribers->target_count == subscribers->target_capacity) {
			subscribers->target_capacity = subscribers->target_capacity * 2 + 16;
			subscribers->targets = memory_resize(subscribers->targets,
				subscribers->target_capacity * sizeof(*subscribers->targets));
		}
		struct subscription *subscription =
			container_of(node, struct subscription, in_audience);
		subscribers->targets[subscribers->target_count++] = subscription;
		subscription->target = subscribers->target_count;
	}
}

static void find_targets(struct subscribers *subscribers, const struct message *message)
{
	const struct hash_table *audiences = subscribers->audiences;
	const struct audience *audience =
		find_audience(&audiences[SUBSCRIPTION_CHANNEL], message->channel);
	subscribers->has_targets = true;
	if (audience)
		add_targets(subscribers, audience);
	const struct hash_table *patterns = &audiences[SUBSCRIPTION_PATTERN];
	const struct hash_node *node = hash_table_any(patterns);
	for (; node; node = hash_table_after(patterns, node)) {
		audience = container_of(node, struct audience, node);
		if (glob_matches(&audience->topic->glob, message->channel))
			add_targets(subscribers, audience);
	}
}

/* In RESP2 a push is an array of the same elements: its first byte differs. */
static void deliver_to(struct subscribers *subscribers, struct subscription *subscription,
	const struct message *message)
{
	struct connection *connection = subscription->connection;
	const struct audience *audience = subscription->audience;
	bool by_pattern = subscription->kind == SUBSCRIPTION_PATTERN;
	subscription->target = 0;
	if (subscribers->framed != audience)
		write_frame(
			&subscribers->frame, by_pattern ? &audience->topic->name : NULL, message);
	subscribers->framed = audience;
	subscribers->frame.data[0] = connection->client.protocol >= 3 ? '>' : '*';
	output_push(connection, buffer_slice(&subscribers->frame), message->lsn);
}

static void forget_targets(struct subscribers *subscribers)
{
	subscribers->has_targets = false;
	subscribers->target_count = subscribers->target_next = 0;
	subscribers->framed = NULL;
	buffer_clear(&subscribers->frame, FRAME_KEEP_BYTES);
}

static struct post *take_inbox(struct net *net, struct subscribers *subscribers)
{
	if (!atomic_load_explicit(&subscribers->has_mail, memory_order_acquire))
		return NULL;
	pthread_mutex_lock(&net->subscriptions->lock);
	struct post *first = subscribers->inbox_first;
	subscribers->inbox_first = subscribers->inbox_last = NULL;
	atomic_store_explicit(&subscribers->has_mail, false, memory_order_relaxed);
	pthread_mutex_unlock(&net->subscriptions->lock);
	return first;
}

static void put_away(struct net *net, struct post *post)
{
	struct message *message = post->message;
	atomic_fetch_sub_explicit(
		&net->subscriptions->waiting_bytes, message->bytes, memory_order_relaxed);
	if (atomic_fetch_sub_explicit(&message->posts_left, 1, memory_order_acq_rel) == 1)
		memory_free(message);
}

bool subscriptions_deliver(struct net_loop *loop)
{
	struct subscribers *subscribers = loop->subscribers;
	struct clock *clock = loop->net->engine->clock;
	if (subscribers->taken == NULL)
		subscribers->taken = take_inbox(loop->net, subscribers);
	uint64_t begun_ns = subscribers->taken ? clock_monotonic_ns(clock) : 0;
	while (subscribers->taken) {
		struct post *post = subscribers->taken;
		if (!subscribers->has_targets)
			find_targets(subscribers, post->message);
		if (subscribers->target_next < subscribers->target_count) {
			struct subscription *next =
				subscribers->targets[subscribers->target_next++];
			if (next)
				deliver_to(subscribers, next, post->message);
		} else {
			forget_targets(subscribers);
			subscribers->taken = post->next;
			put_away(loop->net, post);
		}
		if (clock_monotonic_ns(clock) - begun_ns > DELIVER_NS_MAX)
			break;
	}
	return subscribers->taken ||
		atomic_load_explicit(&subscribers->has_mail, memory_order_relaxed);
}

/* --- figures ---------------------------------------------------------------------------------- */

uint64_t subscriptions_names(struct net *net, enum subscription_kind kind)
{
	pthread_mutex_lock(&net->subscriptions->lock);
	uint64_t count = net->subscriptions->topics[kind].count;
	pthread_mutex_unlock(&net->subscriptions->lock);
	return count;
}

uint64_t subscriptions_to_channel(struct net *net, struct slice channel)
{
	const struct hash_table *channels = &net->subscriptions->topics[SUBSCRIPTION_CHANNEL];
	uint64_t hash = hash_bytes(channel);
	pthread_mutex_lock(&net->subscriptions->lock);
	const struct topic *topic = find_topic(channels, channel, hash);
	uint64_t count = topic ? topic->subscriber_count : 0;
	pthread_mutex_unlock(&net->subscriptions->lock);
	return count;
}

void subscriptions_each_channel(
	struct net *net, bool (*each)(void *context, struct slice channel), void *context)
{
	bool more = true;
	const struct hash_table *channels = &net->subscriptions->topics[SUBSCRIPTION_CHANNEL];
	pthread_mutex_lock(&net->subscriptions->lock);
	const struct hash_node *node = hash_table_any(channels);
	for (; more && node; node = hash_table_after(channels, node))
		more = each(context, container_of(node, struct topic, node)->name);
	pthread_mutex_unlock(&net->subscriptions->lock);
}

bool subscriptions_are_behind(const struct net *net)
{
	return atomic_load_explicit(&net->subscriptions->waiting_bytes, memory_order_relaxed) >
		LIMIT_MESSAGES_WAITING_BYTES;
}

bool subscriptions_are_moving(const struct net_loop *loop)
{
	return loop->subscribers->taken != NULL;
}

/* --- opening and closing ---------------------------------------------------------------------- */

void subscriptions_open(struct net *net)
{
	struct subscriptions *subscriptions = memory_zeroed(sizeof(*subscriptions));
	pthread_mutex_init(&subscriptions->lock, NULL);
	net->subscriptions = subscriptions;
	net->engine->events.context = net;
	net->engine->events.publish = publish_event;
}

void subscriptions_close(struct net *net)
{
	struct subscriptions *subscriptions = net->subscriptions;
	assert(net->engine->events.subscriptions == 0);
	assert(subscriptions->waiting_bytes == 0);
	net->engine->events.publish = NULL;
	net->engine->events.context = NULL;
	pthread_mutex_destroy(&subscriptions->lock);
	memory_free(subscriptions);
	net->subscriptions = NULL;
}

void subscriptions_open_loop(struct net_loop *loop)
{
	struct subscribers *subscribers = memory_zeroed(sizeof(*subscribers));
	buffer_init(&subscribers->frame);
	subscribers->reached = memory_zeroed(loop->net->loop_count * sizeof(bool));
	loop->subscribers = subscribers;
}

void subscriptions_close_loop(struct net_loop *loop)
{
	struct subscribers *subscribers = loop->subscribers;
	assert(subscribers->subscriptions.count == 0);
	do {
		while (subscribers->taken) {
			struct post *post = subscribers->taken;
			subscribers->taken = post->next;
			put_away(loop->net, post);
		}
		subscribers->taken = take_inbox(loop->net, subscribers);
	} while (subscribers->taken);
	buffer_fini(&subscribers->frame);
	memory_free(subscribers->targets);
	memory_free(subscribers->reached);
	memory_free(subscribers);
	loop->subscribers = NULL;
}
