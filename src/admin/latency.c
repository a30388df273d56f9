/*
 * latency: a small table of events; each keeps its largest value and a ring of samples, of which
 * there is at most one a second (the largest of that second), as in Redis.
 *
 * Threads: any; one mutex. Events below the threshold do not take it.
 */
#include "admin/latency.h"

#include "base/memory.h"

#include <assert.h>
#include <pthread.h>

#define EVENTS_MAX  16
#define SAMPLES_MAX 160 /* an event's; Redis's LATENCY_TS_LEN */

struct latency_sample {
	int64_t time_s;
	uint64_t ms;
};

struct latency_event {
	const char *name;
	uint64_t ms_max;
	uint32_t first; /* the oldest sample */
	uint32_t count;
	struct latency_sample samples[SAMPLES_MAX];
};

struct latency {
	const struct config *config;
	struct clock *clock;
	pthread_mutex_t lock;
	size_t event_count;
	struct latency_event events[EVENTS_MAX];
};

static struct latency_event *event_for(struct latency *latency, const char *name);
static struct latency_event *event_find(struct latency *latency, struct slice name);
static struct latency_sample *sample_at(struct latency_event *event, uint32_t age);

struct latency *latency_new(const struct config *config, struct clock *clock)
{
	struct latency *latency = memory_zeroed(sizeof(*latency));
	latency->config = config;
	latency->clock = clock;
	pthread_mutex_init(&latency->lock, NULL);
	return latency;
}

void latency_free(struct latency **latency)
{
	if (*latency == NULL)
		return;
	pthread_mutex_destroy(&(*latency)->lock);
	memory_free(*latency);
	*latency = NULL;
}

void latency_add(struct latency *latency, const char *event, uint64_t elapsed_ns)
{
	int64_t threshold_ms =
		atomic_load_explicit(&latency->config->latency_threshold_ms, memory_order_relaxed);
	uint64_t elapsed_ms = elapsed_ns / 1000000;
	if (threshold_ms <= 0 || elapsed_ms < (uint64_t)threshold_ms)
		return;

	int64_t now_s = clock_wall_ms(latency->clock) / 1000;
	pthread_mutex_lock(&latency->lock);
	struct latency_event *kept = event_for(latency, event);
	if (elapsed_ms > kept->ms_max)
		kept->ms_max = elapsed_ms;
	struct latency_sample *last = kept->count ? sample_at(kept, kept->count - 1) : NULL;
	if (last && last->time_s == now_s) {
		if (elapsed_ms > last->ms)
			last->ms = elapsed_ms;
	} else {
		if (kept->count == SAMPLES_MAX)
			kept->first = (kept->first + 1) % SAMPLES_MAX;
		else
			kept->count++;
		*sample_at(kept, kept->count - 1) =
			(struct latency_sample){ .time_s = now_s, .ms = elapsed_ms };
	}
	pthread_mutex_unlock(&latency->lock);
}

void latency_write_latest(struct latency *latency, struct writer *writer)
{
	pthread_mutex_lock(&latency->lock);
	writer_array(writer, latency->event_count);
	for (size_t i = 0; i < latency->event_count; i++) {
		struct latency_event *event = &latency->events[i];
		const struct latency_sample *last = sample_at(event, event->count - 1);
		writer_array(writer, 4);
		writer_bulk_text(writer, event->name);
		writer_integer(writer, last->time_s);
		writer_integer(writer, (int64_t)last->ms);
		writer_integer(writer, (int64_t)event->ms_max);
	}
	pthread_mutex_unlock(&latency->lock);
}

void latency_write_history(struct latency *latency, struct writer *writer, struct slice event)
{
	pthread_mutex_lock(&latency->lock);
	struct latency_event *found = event_find(latency, event);
	uint32_t count = found ? found->count : 0;
	writer_array(writer, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct latency_sample *sample = sample_at(found, i);
		writer_array(writer, 2);
		writer_integer(writer, sample->time_s);
		writer_integer(writer, (int64_t)sample->ms);
	}
	pthread_mutex_unlock(&latency->lock);
}

bool latency_forget(struct latency *latency, struct slice event)
{
	pthread_mutex_lock(&latency->lock);
	struct latency_event *found = event_find(latency, event);
	if (found)
		*found = latency->events[--latency->event_count];
	pthread_mutex_unlock(&latency->lock);
	return found != NULL;
}

size_t latency_forget_all(struct latency *latency)
{
	pthread_mutex_lock(&latency->lock);
	size_t count = latency->event_count;
	latency->event_count = 0;
	pthread_mutex_unlock(&latency->lock);
	return count;
}

void latency_describe(struct latency *latency, struct buffer *out)
{
	pthread_mutex_lock(&latency->lock);
	for (size_t i = 0; i < latency->event_count; i++) {
		struct latency_event *event = &latency->events[i];
		uint64_t sum_ms = 0;
		for (uint32_t s = 0; s < event->count; s++)
			sum_ms += sample_at(event, s)->ms;
		buffer_format(out,
			"%zu. %s: %u latency spikes (average %llums, worst event %llums).\n", i + 1,
			event->name, event->count, (unsigned long long)(sum_ms / event->count),
			(unsigned long long)event->ms_max);
	}
	pthread_mutex_unlock(&latency->lock);
}

/* Made when it is not there. */
static struct latency_event *event_for(struct latency *latency, const char *name)
{
	struct latency_event *event = event_find(latency, slice_text(name));
	if (event == NULL) {
		assert(latency->event_count < EVENTS_MAX);
		event = &latency->events[latency->event_count++];
		*event = (struct latency_event){ .name = name };
	}
	return event;
}

static struct latency_event *event_find(struct latency *latency, struct slice name)
{
	for (size_t i = 0; i < latency->event_count; i++) {
		if (slice_is(name, latency->events[i].name))
			return &latency->events[i];
	}
	return NULL;
}

static struct latency_sample *sample_at(struct latency_event *event, uint32_t age)
{
	return &event->samples[(event->first + age) % SAMPLES_MAX];
}
