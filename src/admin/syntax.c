/*
 * syntax: a parser by recursive descent over the few forms that argument texts use:
 *
 *   choice   := sequence { '|' sequence }
 *   sequence := { item }
 *   item     := '[' choice ']' | '<' choice '>' | WORD | word | '...'
 *
 * Threads: any; the tree is the caller's.
 */
#include "admin/syntax.h"

#include <ctype.h>

struct parser {
	struct arena *arena;
	const char *at;
	bool failed;
};

struct list {
	struct syntax *first;
	struct syntax *last;
	uint32_t count;
};

static struct list parse_choice(struct parser *parser, char end);
static struct list parse_sequence(struct parser *parser, char end);
static struct syntax *wrapped(struct parser *parser, struct list list, enum syntax_type type);
static bool drop_repeated(struct list *list, struct syntax *node);

int32_t syntax_parse(struct arena *arena, const char *text, struct syntax **first)
{
	struct parser parser = { .arena = arena, .at = text };
	struct list list = parse_choice(&parser, '\0');
	*first = list.first;
	return parser.failed ? -1 : (int32_t)list.count;
}

static struct syntax *node_new(struct parser *parser, enum syntax_type type)
{
	struct syntax *node = arena_alloc(parser->arena, sizeof(*node));
	*node = (struct syntax){ .type = type };
	return node;
}

static void list_add(struct list *list, struct syntax *node)
{
	if (list->last)
		list->last->next = node;
	else
		list->first = node;
	list->last = node;
	list->count++;
}

/* Up to `end`, which is left to the caller. */
static struct list parse_choice(struct parser *parser, char end)
{
	struct list sequence = parse_sequence(parser, end);
	if (parser->failed || *parser->at != '|')
		return sequence;
	struct list choices = { 0 };
	list_add(&choices, wrapped(parser, sequence, SYNTAX_BLOCK));
	while (!parser->failed && *parser->at == '|') {
		parser->at++;
		sequence = parse_sequence(parser, end);
		list_add(&choices, wrapped(parser, sequence, SYNTAX_BLOCK));
	}
	struct list result = { 0 };
	list_add(&result, wrapped(parser, choices, SYNTAX_ONE_OF));
	return result;
}

/* A group in brackets of either kind; the opening one has been read. */
static void parse_group(struct parser *parser, struct list *list, bool optional)
{
	char end = optional ? ']' : '>';
	struct list inner = parse_choice(parser, end);
	if (parser->failed || *parser->at != end || inner.count == 0) {
		parser->failed = true;
		return;
	}
	parser->at++;
	struct syntax *node = wrapped(parser, inner, SYNTAX_BLOCK);
	if (!optional || !node->multiple || !drop_repeated(list, node))
		node->optional = optional;
	list_add(list, node);
}

static void parse_word(struct parser *parser, struct list *list)
{
	const char *start = parser->at;
	while (*parser->at && !strchr(" []<>|", *parser->at))
		parser->at++;
	struct slice word = slice_of(start, (size_t)(parser->at - start));
	bool is_token = !islower((unsigned char)word.data[0]);
	struct syntax *last = list->last;
	if (!is_token && last && last->type == SYNTAX_TOKEN) {
		last->type = SYNTAX_VALUE;
		last->name = word;
		return;
	}
	struct syntax *node = node_new(parser, is_token ? SYNTAX_TOKEN : SYNTAX_VALUE);
	node->name = word;
	if (is_token)
		node->token = word;
	list_add(list, node);
}

static struct list parse_sequence(struct parser *parser, char end)
{
	struct list list = { 0 };
	bool multiple = false;
	while (!parser->failed && *parser->at && *parser->at != end && *parser->at != '|') {
		if (*parser->at == ' ') {
			parser->at++;
		} else if (*parser->at == '[' || *parser->at == '<') {
			parse_group(parser, &list, *parser->at++ == '[');
		} else if (*parser->at == ']' || *parser->at == '>') {
			parser->failed = true;
		} else if (strncmp(parser->at, "...", 3) == 0) {
			parser->at += 3;
			multiple = true;
		} else {
			parse_word(parser, &list);
		}
	}
	if (multiple && list.count == 0)
		parser->failed = true;
	if (multiple && !parser->failed) {
		struct list whole = { 0 };
		list_add(&whole, wrapped(parser, list, SYNTAX_BLOCK));
		whole.first->multiple = true;
		return whole;
	}
	return list;
}

/* One node for the list: its only member, or a node of `type` around it. */
static struct syntax *wrapped(struct parser *parser, struct list list, enum syntax_type type)
{
	if (list.count == 1)
		return list.first;
	if (list.count == 0)
		parser->failed = true;
	struct syntax *node = node_new(parser, type);
	node->children = list.first;
	node->child_count = list.count;
	return node;
}

/* In `key [key ...]` the bracket says again what stands in front of it: both are one argument.
 * Drops the one in front; false when this is not such a case. */
static bool drop_repeated(struct list *list, struct syntax *node)
{
	bool block = node->type == SYNTAX_BLOCK;
	uint32_t said = block ? node->child_count : 1;
	if (list->count < said)
		return false;

	struct list kept = { 0 };
	struct syntax *at = list->first;
	while (kept.count < list->count - said) {
		struct syntax *next = at->next;
		list_add(&kept, at);
		at = next;
	}
	const struct syntax *again = block ? node->children : node;
	for (; at; at = at->next, again = block ? again->next : NULL) {
		if (!slice_equal(at->name, again->name))
			return false;
		if (!block)
			node->token = at->token;
	}
	if (kept.last)
		kept.last->next = NULL;
	*list = kept;
	return true;
}
