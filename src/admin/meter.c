/*
 * meter: one remembered reading of the counters. Whoever asks is also who measures: a reading older
 * than a second is compared with the present one, gives the rates and is replaced; a younger one is
 * too noisy to measure by, and the rates of the time before are given again.
 *
 * Threads: any; one mutex.
 */
#include "admin/meter.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdbool.h>

#define INTERVAL_NS_LEAST 1000000000u

struct meter {
	pthread_mutex_t lock;
	uint64_t read_ns; /* 0: not yet */
	uint64_t counters[METER_COUNTERS];
	double per_second[METER_COUNTERS];
	uint64_t peak;
};

struct meter *meter_new(void)
{
	struct meter *meter = memory_zeroed(sizeof(*meter));
	pthread_mutex_init(&meter->lock, NULL);
	return meter;
}

void meter_free(struct meter **meter)
{
	if (*meter == NULL)
		return;
	pthread_mutex_destroy(&(*meter)->lock);
	memory_free(*meter);
	*meter = NULL;
}

void meter_read(struct meter *meter, uint64_t now_ns, const uint64_t counters[METER_COUNTERS],
	double per_second[METER_COUNTERS])
{
	pthread_mutex_lock(&meter->lock);
	uint64_t elapsed_ns = now_ns > meter->read_ns ? now_ns - meter->read_ns : 0;
	bool first = meter->read_ns == 0;
	if (first || elapsed_ns >= INTERVAL_NS_LEAST) {
		for (int i = 0; i < METER_COUNTERS; i++) {
			bool grew = !first && counters[i] >= meter->counters[i];
			meter->per_second[i] = grew ? (double)(counters[i] - meter->counters[i]) *
					1e9 / (double)elapsed_ns
						    : 0;
			meter->counters[i] = counters[i];
		}
		meter->read_ns = now_ns;
	}
	for (int i = 0; i < METER_COUNTERS; i++)
		per_second[i] = meter->per_second[i];
	pthread_mutex_unlock(&meter->lock);
}

uint64_t meter_peak(struct meter *meter, uint64_t value)
{
	pthread_mutex_lock(&meter->lock);
	if (value > meter->peak)
		meter->peak = value;
	uint64_t peak = meter->peak;
	pthread_mutex_unlock(&meter->lock);
	return peak;
}
