/* cnn.y - the grammar of the .cnn language.  Actions build nodes and do nothing else: no word has a
 * meaning here, `network` is a statement with a body like any other.  Line ends arrive as
 * TOK_NEWLINE only where a statement ends, and brackets always match: see compiler/syntax/layout.c. */
%define api.pure full
%define api.prefix {cnn}
%define api.token.prefix {TOK_}
%define api.location.type {struct span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param {struct parse *p}

%code requires {
#include "syntax/ast.h"
#include "syntax/parse.h"
}

%union {
    struct token token;
    struct ast_expr *expr;
    struct ast_arg *arg;
    struct ast_args args;
    struct ast_statement *statement;
    struct ast_body *body;
}

%code {
#define YYLLOC_DEFAULT(current, rhs, n) \
    ((current) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)) : span_after(YYRHSLOC(rhs, 0)))

static struct span span_after(struct span where);

static int cnnlex(CNNSTYPE *value, CNNLTYPE *where, struct parse *p);
static void cnnerror(CNNLTYPE *where, struct parse *p, const char *message);
static struct ast_expr *literal(struct parse *p, enum ast_kind kind, struct token token,
                                struct span where);
static struct ast_expr *composite(struct parse *p, enum ast_kind kind, const struct token *word,
                                  struct span where, struct ast_args args);
static struct ast_expr *operation(struct parse *p, enum ast_kind kind, enum ast_operator op,
                                  struct span where, struct ast_expr *x, struct ast_expr *y,
                                  struct ast_expr *z);
static struct ast_arg *argument(struct parse *p, struct span where, const struct token *key,
                                struct ast_expr *value);
static struct ast_args one(struct parse *p, struct span where, struct ast_expr *value);
static struct ast_statement *broken(struct parse *p, struct span where);
static struct ast_statement *command(struct parse *p, struct span where, const struct token *word,
                                     struct ast_args args, const struct token *as,
                                     struct ast_body *body);
static struct ast_statement *valued(struct parse *p, enum ast_statement_kind kind,
                                    struct span where, const struct token *word,
                                    struct ast_expr *value);
static struct ast_statement *choice(struct parse *p, struct span where, const struct token *word,
                                    struct ast_expr *condition, struct ast_body *body,
                                    struct ast_body *otherwise);
static struct ast_statement *function(struct parse *p, struct span where, const struct token *word,
                                      struct ast_expr *head, const struct token *direction,
                                      struct ast_expr *value, struct ast_body *body);
}

%token <token> NAME "a name" NUMBER "a number" EXTENT "an extent" STRING "a string"
%token <token> SWITCH "'on' or 'off'" IF "'if'" RETURN "'return'"
%token BAD
%token COLON "':'"                  /* of other languages: layout.c deals with it */
%token NEWLINE "end of line"
%token THEN "'then'" ELSE "'else'" AND "'and'" OR "'or'" NOT "'not'" AS "'as'"
%token CONST "'const'"
%token EQ "'=='" NE "'!='" LE "'<='" GE "'>='"
%token ASSIGN "'='" COMMA "','" LBRACE "'{'" RBRACE "'}'"
%token LPAREN "'('" RPAREN "')'" LBRACKET "'['" RBRACKET "']'"
%token PLUS "'+'" MINUS "'-'" TIMES "'*'" OVER "'/'" MODULO "'%'" POWER "'^'"
%token LESS "'<'" GREATER "'>'"

%type <expr> expr primary call
%type <arg> arg
%type <args> args opt_args elements call_args
%type <statement> statement simple compound choice
%type <body> statements body

%precedence ELSE
%left OR
%left AND
%precedence NOT
%nonassoc EQ NE LESS GREATER LE GE
%left PLUS MINUS
%left TIMES OVER MODULO
%precedence NEGATE
%right POWER

%printer { fprintf(yyo, "%.*s", (int)($$.end - $$.begin), p->source->text + $$.begin); } <token>
%printer { fprintf(yyo, "expression %d", $$ ? (int)$$->kind : -1); } <expr>
%printer { fprintf(yyo, "%s", $$ && $$->word ? $$->word : "statement"); } <statement>

%%

file:
    statements                      { p->file = $1; p->file->where = @1; }
    ;

statements:
    %empty                          { $$ = ast_body_add(p->arena, NULL, NULL); }
  | statements statement            { $$ = ast_body_add(p->arena, $1, $2); }
  | statements error NEWLINE        { $$ = ast_body_add(p->arena, $1, broken(p, @2)); yyerrok; }
  | statements error body           { $$ = ast_body_add(p->arena, $1, broken(p, @2)); yyerrok; }
    ;

statement:
    simple NEWLINE
  | compound
    ;

simple:
    NAME opt_args                   { $$ = command(p, @$, &$1, $2, NULL, NULL); }
  | NAME opt_args AS NAME           { $$ = command(p, @$, &$1, $2, &$4, NULL); }
  | CONST NAME ASSIGN expr          { $$ = valued(p, AST_CONST, @$, &$2, $4); }
  | NAME ASSIGN expr                { $$ = valued(p, AST_ASSIGN, @$, &$1, $3); }
  | RETURN expr                     { $$ = valued(p, AST_RETURN, @$, &$1, $2); }
  | NAME call ASSIGN expr           { $$ = function(p, @$, &$1, $2, NULL, $4, NULL); }
  | NAME call NAME ASSIGN expr      { $$ = function(p, @$, &$1, $2, &$3, $5, NULL); }
    ;

compound:
    NAME opt_args body              { $$ = command(p, @$, &$1, $2, NULL, $3); }
  | NAME opt_args AS NAME body      { $$ = command(p, @$, &$1, $2, &$4, $5); }
  | NAME call NAME body             { $$ = function(p, @$, &$1, $2, &$3, NULL, $4); }
  | choice
    ;

choice:
    IF expr body                    { $$ = choice(p, @$, &$1, $2, $3, NULL); }
  | IF expr body ELSE body          { $$ = choice(p, @$, &$1, $2, $3, $5); }
  | IF expr body ELSE choice        { $$ = choice(p, @$, &$1, $2, $3,
                                                  ast_body_add(p->arena, NULL, $5)); }
    ;

body:
    LBRACE statements RBRACE        { $$ = $2; $$->where = @$; }
    ;

opt_args:
    %empty                          { $$ = (struct ast_args){0}; }
  | args
    ;

args:
    arg                             { $$ = ast_args_add((struct ast_args){0}, $1); }
  | args COMMA arg                  { $$ = ast_args_add($1, $3); }
    ;

arg:
    expr                            { $$ = argument(p, @$, NULL, $1); }
  | NAME ASSIGN expr                { $$ = argument(p, @$, &$1, $3); }
    ;

expr:
    primary
  | MINUS expr %prec NEGATE       { $$ = operation(p, AST_UNARY, AST_NEGATE, @$, $2, NULL, NULL); }
  | NOT expr                      { $$ = operation(p, AST_UNARY, AST_NOT, @$, $2, NULL, NULL); }
  | expr PLUS expr                { $$ = operation(p, AST_BINARY, AST_ADD, @$, $1, $3, NULL); }
  | expr MINUS expr               { $$ = operation(p, AST_BINARY, AST_SUB, @$, $1, $3, NULL); }
  | expr TIMES expr               { $$ = operation(p, AST_BINARY, AST_MUL, @$, $1, $3, NULL); }
  | expr OVER expr                { $$ = operation(p, AST_BINARY, AST_DIV, @$, $1, $3, NULL); }
  | expr MODULO expr              { $$ = operation(p, AST_BINARY, AST_MOD, @$, $1, $3, NULL); }
  | expr POWER expr               { $$ = operation(p, AST_BINARY, AST_POW, @$, $1, $3, NULL); }
  | expr EQ expr                  { $$ = operation(p, AST_BINARY, AST_EQ, @$, $1, $3, NULL); }
  | expr NE expr                  { $$ = operation(p, AST_BINARY, AST_NE, @$, $1, $3, NULL); }
  | expr LESS expr                { $$ = operation(p, AST_BINARY, AST_LT, @$, $1, $3, NULL); }
  | expr GREATER expr             { $$ = operation(p, AST_BINARY, AST_GT, @$, $1, $3, NULL); }
  | expr LE expr                  { $$ = operation(p, AST_BINARY, AST_LE, @$, $1, $3, NULL); }
  | expr GE expr                  { $$ = operation(p, AST_BINARY, AST_GE, @$, $1, $3, NULL); }
  | expr AND expr                 { $$ = operation(p, AST_BINARY, AST_AND, @$, $1, $3, NULL); }
  | expr OR expr                  { $$ = operation(p, AST_BINARY, AST_OR, @$, $1, $3, NULL); }
  | IF expr THEN expr ELSE expr   { $$ = operation(p, AST_CHOICE, AST_NOT, @$, $2, $4, $6); }
    ;

primary:
    NUMBER                          { $$ = literal(p, AST_NUMBER, $1, @$); }
  | EXTENT                          { $$ = literal(p, AST_EXTENT, $1, @$); }
  | STRING                          { $$ = literal(p, AST_STRING, $1, @$); }
  | SWITCH                          { $$ = literal(p, AST_SWITCH, $1, @$); }
  | NAME                            { $$ = literal(p, AST_NAME, $1, @$); }
  | BAD                             { $$ = ast_expr_new(p->arena, AST_BAD, @$); }
  | call
  | NAME LBRACKET expr RBRACKET     { $$ = composite(p, AST_INDEX, &$1, @$, one(p, @3, $3)); }
  | LBRACKET elements RBRACKET      { $$ = composite(p, AST_LIST, NULL, @$, $2); }
  | LPAREN elements RPAREN          { $$ = composite(p, AST_TUPLE, NULL, @$, $2); }
    ;

call:
    NAME LPAREN call_args RPAREN    { $$ = composite(p, AST_CALL, &$1, @$, $3); }
    ;

call_args:
    %empty                          { $$ = (struct ast_args){0}; }
  | elements
    ;

elements:
    args
  | args COMMA
    ;

%%

static int cnnlex(CNNSTYPE *value, CNNLTYPE *where, struct parse *p)
{
    const struct token *t =
        &p->tokens.items[p->next < p->tokens.count ? p->next : p->tokens.count - 1];

    p->next++;
    value->token = *t;
    *where = parse_span(p, t->begin, t->end);
    return t->kind;
}

static struct span span_after(struct span where)
{
    return (struct span){where.file, where.end, where.end};
}

/* The parser's own complaints that are not about a token: its stack is full. */
static void cnnerror(CNNLTYPE *where, struct parse *p, const char *message)
{
    (void)message;
    diag_error(p->diag, DIAG_too_deep, *where, "the file is nested too deeply here");
}

static struct ast_expr *literal(struct parse *p, enum ast_kind kind, struct token token,
                                struct span where)
{
    struct ast_expr *e = ast_expr_new(p->arena, kind, where);

    e->text = token.text;
    e->text_size = token.text_size;
    e->number = token.number;
    e->dims_count = token.dims_count;
    for (int i = 0; i < token.dims_count; i++)
        e->dims[i] = token.dims[i];
    return e;
}

/* An expression that would be too deep to walk becomes a bad one, and so does what is built on it.
 */
static struct ast_expr *limited(struct parse *p, struct ast_expr *e)
{
    if (e->depth <= EXPRESSION_DEEPEST)
        return e;
    if (e->depth == EXPRESSION_DEEPEST + 1) { /* the first that is too deep; later ones are deeper */
        diag_error(p->diag, DIAG_too_deep, e->where, "this expression has more than %d levels",
                   EXPRESSION_DEEPEST);
        diag_hint(p->diag, "give parts of it names with 'const'");
    }
    struct ast_expr *bad = ast_expr_new(p->arena, AST_BAD, e->where);
    bad->depth = EXPRESSION_DEEPEST + 1;
    return bad;
}

static struct ast_expr *composite(struct parse *p, enum ast_kind kind, const struct token *word,
                                  struct span where, struct ast_args args)
{
    /* Parentheses around one expression are that expression. */
    if (kind == AST_TUPLE && args.count == 1 && !args.first->key) {
        args.first->value->where = where;
        return args.first->value;
    }
    struct ast_expr *e = ast_expr_new(p->arena, kind, where);
    if (word) {
        e->text = word->text;
        e->text_size = word->text_size;
        e->word = parse_span(p, word->begin, word->end);
    }
    e->args = args;
    e->depth = ast_args_depth(args);
    return limited(p, e);
}

static struct ast_expr *operation(struct parse *p, enum ast_kind kind, enum ast_operator op,
                                  struct span where, struct ast_expr *x, struct ast_expr *y,
                                  struct ast_expr *z)
{
    return limited(p, ast_operation(p->arena, kind, op, where, x, y, z));
}

static struct ast_arg *argument(struct parse *p, struct span where, const struct token *key,
                                struct ast_expr *value)
{
    struct span key_where = key ? parse_span(p, key->begin, key->end) : (struct span){0};

    return ast_arg_new(p->arena, where, key ? key->text : NULL, key_where, value);
}

static struct ast_args one(struct parse *p, struct span where, struct ast_expr *value)
{
    return ast_args_add((struct ast_args){0}, argument(p, where, NULL, value));
}

static struct ast_statement *statement(struct parse *p, enum ast_statement_kind kind,
                                       struct span where, const struct token *word)
{
    return ast_statement_new(p->arena, kind, where, word->text,
                             parse_span(p, word->begin, word->end));
}

static struct ast_statement *broken(struct parse *p, struct span where)
{
    return ast_statement_new(p->arena, AST_BROKEN, where, NULL, where);
}

static struct ast_statement *command(struct parse *p, struct span where, const struct token *word,
                                     struct ast_args args, const struct token *as,
                                     struct ast_body *body)
{
    struct ast_statement *s = statement(p, AST_COMMAND, where, word);

    s->args = args;
    s->body = body;
    if (as) {
        s->as = as->text;
        s->as_where = parse_span(p, as->begin, as->end);
    }
    return s;
}

static struct ast_statement *valued(struct parse *p, enum ast_statement_kind kind,
                                    struct span where, const struct token *word,
                                    struct ast_expr *value)
{
    struct ast_statement *s = statement(p, kind, where, word);

    s->value = value;
    return s;
}

static struct ast_statement *choice(struct parse *p, struct span where, const struct token *word,
                                    struct ast_expr *condition, struct ast_body *body,
                                    struct ast_body *otherwise)
{
    struct ast_statement *s = valued(p, AST_IF, where, word, condition);

    s->body = body;
    s->otherwise = otherwise;
    return s;
}

static struct ast_statement *function(struct parse *p, struct span where, const struct token *word,
                                      struct ast_expr *head, const struct token *direction,
                                      struct ast_expr *value, struct ast_body *body)
{
    if (head->kind == AST_BAD)                  /* too deep: it has no name any more */
        return broken(p, where);
    struct ast_statement *s = valued(p, AST_FUNCTION, where, word, value);
    s->head = head;
    s->body = body;
    if (direction) {
        s->direction = direction->text;
        s->direction_where = parse_span(p, direction->begin, direction->end);
    }
    return s;
}

/* ---- wording of syntax errors ---------------------------------------------------------------- */

enum { EXPECTED_MOST = 64 };

/* What the parser could have taken, in the words of a person: twenty tokens that begin a value are
 * "a value", and operators are not worth a mention. */
enum expectation {
    EXPECT_VALUE,
    EXPECT_NAME,
    EXPECT_ASSIGN,
    EXPECT_COMMA,
    EXPECT_CLOSE_PAREN,
    EXPECT_CLOSE_BRACKET,
    EXPECT_THEN,
    EXPECT_ELSE,
    EXPECT_OPEN_BRACE,
    EXPECT_OPEN_PAREN,
    EXPECT_LINE_END,
    EXPECT_STATEMENT,
    EXPECT_COUNT
};

static unsigned expectations(const yypcontext_t *context)
{
    yysymbol_kind_t tokens[EXPECTED_MOST];
    int count = yypcontext_expected_tokens(context, tokens, EXPECTED_MOST);
    unsigned set = 0;
    bool number = false, name = false, statement_start = false;

    for (int i = 0; i < count; i++) {
        switch (tokens[i]) {
        case YYSYMBOL_NUMBER: number = true; break;
        case YYSYMBOL_NAME: name = true; break;
        case YYSYMBOL_CONST: statement_start = true; break;
        case YYSYMBOL_ASSIGN: set |= 1u << EXPECT_ASSIGN; break;
        case YYSYMBOL_COMMA: set |= 1u << EXPECT_COMMA; break;
        case YYSYMBOL_RPAREN: set |= 1u << EXPECT_CLOSE_PAREN; break;
        case YYSYMBOL_RBRACKET: set |= 1u << EXPECT_CLOSE_BRACKET; break;
        case YYSYMBOL_THEN: set |= 1u << EXPECT_THEN; break;
        case YYSYMBOL_ELSE: set |= 1u << EXPECT_ELSE; break;
        case YYSYMBOL_LBRACE: set |= 1u << EXPECT_OPEN_BRACE; break;
        case YYSYMBOL_NEWLINE: set |= 1u << EXPECT_LINE_END; break;
        default: break;
        }
    }
    if (number)
        set |= 1u << EXPECT_VALUE;
    else if (statement_start)
        set |= 1u << EXPECT_STATEMENT;
    else if (name)
        set |= 1u << EXPECT_NAME;
    if ((set >> EXPECT_LINE_END) & 1) /* few statements have a body: not worth a mention */
        set &= ~(1u << EXPECT_OPEN_BRACE);
    return set;
}

static const char *expected_text(struct parse *p, unsigned set)
{
    static const char *const words[EXPECT_COUNT] = {"a value",
                                                    "a name",
                                                    "'='",
                                                    "','",
                                                    "')'",
                                                    "']'",
                                                    "'then'",
                                                    "'else'",
                                                    "'{'",
                                                    "'('",
                                                    "the end of the line",
                                                    "a statement"};
    const char *text = NULL;
    int left = 0;

    for (int i = 0; i < EXPECT_COUNT; i++)
        left += (set >> i) & 1;
    for (int i = 0; i < EXPECT_COUNT; i++) {
        if (!((set >> i) & 1))
            continue;
        left--;
        text = text ? arena_printf(p->arena, "%s%s%s", text, left ? ", " : " or ", words[i])
                    : words[i];
    }
    return text;
}

static const char *found_text(struct parse *p, const struct token *t)
{
    enum { SHOWN = 40 };

    if (t->kind == TOK_YYEOF)
        return "the end of the file";
    if (t->begin == t->end)
        return "the end of the statement";
    if (t->kind == TOK_NEWLINE)
        return p->source->text[t->begin] == ';' ? "';'" : "the end of the line";
    if (t->kind == TOK_STRING)
        return "a string";
    if (t->end - t->begin > SHOWN)
        return "a long word";
    return arena_printf(p->arena, "'%.*s'", (int)(t->end - t->begin), p->source->text + t->begin);
}

/* Whether the statement that token `at` belongs to says `if` before it. */
static bool after_if(const struct parse *p, int at)
{
    for (int i = at - 1; i >= 0; i--) {
        int kind = p->tokens.items[i].kind;
        if (kind == TOK_IF)
            return true;
        if (kind == TOK_NEWLINE || kind == TOK_LBRACE || kind == TOK_RBRACE)
            return false;
    }
    return false;
}

/* `concat { ... } as mix`: the name behind the body that ends before token `at`. */
static void hint_late_name(const struct parse *p, int at)
{
    enum { SHOWN = 60 };
    const struct token *t = p->tokens.items, *name = &t[at + 1];
    int brace = at - 1, first, open = 0;

    for (; brace >= 0; brace--) {
        open += t[brace].kind == TOK_RBRACE ? 1 : t[brace].kind == TOK_LBRACE ? -1 : 0;
        if (!open)
            break;
    }
    for (first = brace; first > 0; first--) {
        int kind = t[first - 1].kind;
        if (kind == TOK_NEWLINE || kind == TOK_LBRACE || kind == TOK_RBRACE)
            break;
    }
    if (brace <= 0 || first == brace || t[first].kind != TOK_NAME || name->kind != TOK_NAME)
        return;
    size_t length = t[brace - 1].end - t[first].begin;
    if (length <= SHOWN)
        diag_hint(p->diag, "a name stands before the body: %.*s as %s { ... }", (int)length,
                  p->source->text + t[first].begin, name->text);
}

static void syntax_hint(struct parse *p, int at, unsigned set)
{
    const struct token *t = &p->tokens.items[at], *before = at > 0 ? t - 1 : NULL;
    bool value = t->kind == TOK_NAME || t->kind == TOK_NUMBER || t->kind == TOK_EXTENT ||
                 t->kind == TOK_STRING || t->kind == TOK_SWITCH || t->kind == TOK_LBRACKET;

    if (t->kind == TOK_ASSIGN && after_if(p, at))
        diag_hint(p->diag, "'=' gives a value, '==' compares");
    else if (t->kind == TOK_AS && before && before->kind == TOK_RBRACE)
        hint_late_name(p, at);
    else if (t->kind == TOK_THEN && (set >> EXPECT_OPEN_BRACE) & 1)
        diag_hint(p->diag, "'if' chooses between statements in braces: if ... { ... } else { ... }");
    else if (t->continued || (before && before->continued))
        diag_hint(p->diag,
                  "the line above ends in a comma or an operator, so its statement goes on here");
    else if (before && before->kind == TOK_COMMA && t->kind == TOK_NEWLINE)
        diag_hint(p->diag, "a statement's last argument has no comma after it");
    else if (before && at >= 3 && value && before->kind == TOK_NAME && t[-2].kind == TOK_ASSIGN && t[-3].kind == TOK_NAME)
        diag_hint(p->diag, "a layer has its name behind it: %s ... as %s", before->text, t[-3].text);
    else if (value && (set >> EXPECT_COMMA) & 1)
        diag_hint(p->diag, "arguments are separated by commas");
    else if (before && before->kind == TOK_ASSIGN && t->kind == TOK_ASSIGN)
        diag_hint(p->diag, "'=' gives a value, '==' (without a space) compares");
}

static int yyreport_syntax_error(const yypcontext_t *context, struct parse *p)
{
    int at = p->next - 1 < p->tokens.count ? p->next - 1 : p->tokens.count - 1;
    const struct token *t = &p->tokens.items[at];
    unsigned set = expectations(context);
    const char *expected = expected_text(p, set);

    if (t->kind == TOK_BAD || (t->kind == TOK_STRING && t->number != 0))
        return 0;                               /* the scanner has said what is wrong */
    if (expected)
        diag_error(p->diag, DIAG_syntax, *yypcontext_location(context), "expected %s, found %s",
                   expected, found_text(p, t));
    else
        diag_error(p->diag, DIAG_syntax, *yypcontext_location(context), "%s makes no sense here",
                   found_text(p, t));
    syntax_hint(p, at, set);
    return 0;
}
