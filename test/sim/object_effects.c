/*
 * object_effects: what a call of a simulated object says it has done: each line is held against the
 * model, and changes it, in the turn in which it is said.
 */
#include "sim/object_watch_private.h"

void effect_wrote(struct line *line)
{
	struct model_state *state = line_change(line);
	if (state->version + 1 != line_number(line, 3))
		wrong("o%u: call %s wrote version %s, the model has %lld", line->object,
			line->record->id, line->words[3], (long long)state->version);
	state->version++;
	state->chain = model_chain(state->chain, slice_text(line->words[4]));
	line_see(line);
}

void effect_read(struct line *line)
{
	line_check_version(line, line_number(line, 3));
	line_check_version(line, line_number(line, 4));
	line_see(line);
}

void effect_alarm(struct line *line)
{
	struct model_state *state = line_change(line);
	int64_t at_ms = line_number(line, 3);
	if (at_ms < line->now_ms)
		at_ms = line->now_ms;
	state->script = true;
	state->alarm = (struct model_alarm){
		.set = true,
		.serial = model_next_serial(line->watch->model),
		.at_ms = at_ms,
		.due_from_ms = at_ms,
		.due_to_ms = at_ms,
	};
	line_see(line);
}

static bool alarm_shows(const struct line *line, const struct model_alarm *alarm)
{
	return alarm->set && !watch_alarm_runs(line->watch, line->object, alarm);
}

void effect_noalarm(struct line *line)
{
	struct model_alarm alarm = line_state(line).alarm;
	bool shows = alarm_shows(line, &alarm);
	if (line_truth(line, 3) != shows)
		wrong("o%u: delete_alarm returns %s", line->object, line->words[3]);
	if (shows)
		line_change(line)->alarm = (struct model_alarm){ 0 };
	line_see(line);
}

void effect_hasalarm(struct line *line)
{
	struct model_alarm alarm = line_state(line).alarm;
	int64_t expected_ms = alarm_shows(line, &alarm) ? alarm.at_ms : 0;
	if (line_number(line, 3) != expected_ms)
		wrong("o%u: get_alarm returns %s, not %lld", line->object, line->words[3],
			(long long)expected_ms);
}

void effect_schedule(struct line *line)
{
	struct model_schedule *schedule = &line_change(line)->schedules[line_number(line, 3)];
	int64_t every_ms = line_number(line, 4), next_ms = line->now_ms + every_ms;
	*schedule = (struct model_schedule){
		.set = true,
		.serial = model_next_serial(line->watch->model),
		.every_ms = every_ms,
		.next_ms = next_ms,
		.due_from_ms = next_ms,
		.due_to_ms = next_ms,
	};
	line_see(line);
}

void effect_unschedule(struct line *line)
{
	int64_t number = line_number(line, 3);
	bool set = line_state(line).schedules[number].set;
	if (line_truth(line, 4) != set)
		wrong("o%u: unschedule returns %s", line->object, line->words[4]);
	if (set)
		line_change(line)->schedules[number] = (struct model_schedule){ 0 };
	line_see(line);
}

/* Putting what is there writes nothing. */
void effect_bulk(struct line *line)
{
	if (line_state(line).bulk == 0)
		line_change(line)->bulk = MODEL_BULK;
	line_see(line);
}

void effect_clear(struct line *line)
{
	struct model_state state = line_state(line);
	bool keep_alarm = line_number(line, 3);
	if (line_number(line, 4) != (int64_t)model_keys(&state))
		wrong("o%u: delete_all says %s, the model has %llu keys", line->object,
			line->words[4], (unsigned long long)model_keys(&state));
	if (model_clear(&state, keep_alarm))
		model_clear(line_change(line), keep_alarm);
	line_see(line);
}

void effect_expire(struct line *line)
{
	struct model_state *state = line_change(line);
	state->expire_ms = line->now_ms + line_number(line, 3);
	state->life_ms = line_number(line, 4);
	line_see(line);
}

void effect_persist(struct line *line)
{
	bool had_end = line_state(line).expire_ms != 0;
	if (line_truth(line, 3) != had_end)
		wrong("o%u: persist returns %s", line->object, line->words[3]);
	if (had_end) {
		struct model_state *state = line_change(line);
		state->expire_ms = state->life_ms = 0;
	}
	line_see(line);
}
