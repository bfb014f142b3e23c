/* The load client: thousands of WebSocket connections from one thread, each value looked at.

   client CONFIG    reads orders on stdin, one per line, and answers each with one line of JSON on stdout

   Config, one word and its values per line:
     tcp HOST PORT | unix PATH      where the server is
     path /ws/v1/stream             base 123 (microseconds of CLOCK_MONOTONIC that `v` counts from)
     rate 500 (new connections per second)          pending 50 (of them under way at once)
     retry 500000 4000000 (microseconds: first and longest pause before a lost connection is opened again)
     acks 1 (answer heartbeats that ask)    priced 1 (a price follows from symbol and number: see right_price)
     symbols A B C ...              rcvbuf GROUP BYTES
     conn GROUP COOKIE 0,4,7        one connection: cookie header or -, positions in `symbols`

   Orders: connect GROUP|-1 · begin · end · status · sleep GROUP · wake GROUP · retry 0|1 · cut COUNT · finals FILE

   The age of a delivered value is the moment of its receipt minus the moment it was due to be published, which the
   publisher puts into the volume. Neither compression nor TLS is spoken. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define GROUPS 4
#define BUCKET_US 100
#define BUCKETS 300000
#define BUFFER (4 << 20)
#define STDIN UINT32_MAX
#define HASH 32768
#define KINDS 32

enum state { UNUSED, CONNECTING, UPGRADING, SUBSCRIBING, READY, WAITING, GONE };

typedef struct {
    uint16_t symbol;
    uint8_t seen; /* a value is known */
    int64_t epoch, number, price;
} Held;

typedef struct {
    int fd;
    uint8_t state, group, asleep, wanted, mute;
    uint16_t count, close_code;
    uint32_t attempts, left;
    char *cookie, *rest; /* rest: `left` bytes of a frame that has not arrived whole */
    Held *held;
    int64_t retry_at;
} Conn;

typedef struct {
    uint64_t deliveries, frames, bytes, slowest;
    uint32_t *ages;
} Window;

typedef struct { char name[32]; uint64_t count; } Kind;

static Conn *conns;
static uint32_t conn_count;
static char **symbols;
static uint32_t symbol_count;
static int32_t table[HASH];
static Window windows[GROUPS];
static Kind closes[KINDS], errors[KINDS];
static uint64_t falling, repeated, changed, wrong, foreign, broken, heartbeats, stale, cadences, recovered, unrecovered, snapshots;
static struct sockaddr_storage address;
static socklen_t address_length;
static int tcp_port = 80, family, epoll, priced, acks, retrying, rcvbuf[GROUPS];
static char *path = "/";
static int64_t base_us, retry_first = 500000, retry_longest = 4000000;
static double rate = 500;
static uint32_t pending_most = 50, pending, connecting_from;
static int64_t connect_began, connect_sent, last_ready_at, window_began;
static int connect_open;
static struct rusage window_usage;
static char *buffer;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *why) {
    fprintf(stderr, "client: %s: %s\n", why, strerror(errno));
    exit(1);
}

static void tally(Kind *kinds, const char *name, size_t length) {
    for (int i = 0; i < KINDS; i++) {
        if (!kinds[i].count) snprintf(kinds[i].name, sizeof kinds[i].name, "%.*s", (int)length, name);
        if (strlen(kinds[i].name) == length && !memcmp(kinds[i].name, name, length)) {
            kinds[i].count++;
            return;
        }
    }
}

/* --- symbols */

static uint32_t hash_of(const char *s, size_t length) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h % HASH;
}

static void learn_symbol(const char *name) {
    symbols = realloc(symbols, (symbol_count + 1) * sizeof *symbols);
    symbols[symbol_count] = strdup(name);
    uint32_t h = hash_of(name, strlen(name));
    while (table[h] >= 0) h = (h + 1) % HASH;
    table[h] = (int32_t)symbol_count++;
}

static Held *held_of(Conn *c, const char *name, size_t length) {
    uint32_t h = hash_of(name, length);
    while (table[h] >= 0) {
        const char *known = symbols[table[h]];
        if (strlen(known) == length && !memcmp(known, name, length)) {
            for (int i = 0; i < c->count; i++)
                if (c->held[i].symbol == table[h]) return &c->held[i];
            return NULL;
        }
        h = (h + 1) % HASH;
    }
    return NULL;
}

/* --- what was delivered */

/* In millionths; the publisher makes the same. */
static int64_t right_price(int symbol, int64_t number) {
    return (10000 + (number * 37 + (int64_t)symbol * 1009) % 80000) * 10000;
}

static int64_t millionths(const char *s, size_t length) {
    int64_t value = 0;
    int decimals = -1;
    for (size_t i = 0; i < length && decimals < 6; i++) {
        if (s[i] == '.') decimals = 0;
        else {
            value = value * 10 + (s[i] - '0');
            if (decimals >= 0) decimals++;
        }
    }
    for (decimals = decimals < 0 ? 0 : decimals; decimals < 6; decimals++) value *= 10;
    return value;
}

typedef struct { const char *symbol, *price; size_t symbol_length, price_length; int64_t epoch, number, volume; } Entry;

/* One flat object; returns where it ends. Names are those of a frame (s p e n v) or of a snapshot. */
static const char *entry_at(const char *s, const char *end, Entry *out) {
    memset(out, 0, sizeof *out);
    s++;
    while (s < end && *s != '}') {
        if (*s == ',' || *s == ' ') { s++; continue; }
        const char *key = ++s;
        while (s < end && *s != '"') s++;
        size_t key_length = (size_t)(s - key);
        for (s++; s < end && (*s == ':' || *s == ' ');) s++;
        const char *value = s;
        size_t length;
        if (*s == '"') {
            value = ++s;
            while (s < end && *s != '"') s++;
            length = (size_t)(s++ - value);
        } else {
            while (s < end && *s != ',' && *s != '}') s++;
            length = (size_t)(s - value);
        }
        if (key_length == 1) switch (*key) {
            case 's': out->symbol = value; out->symbol_length = length; break;
            case 'p': out->price = value; out->price_length = length; break;
            case 'e': out->epoch = strtoll(value, NULL, 10); break;
            case 'n': out->number = strtoll(value, NULL, 10); break;
            case 'v': out->volume = strtoll(value, NULL, 10); break;
        }
        else if (key_length == 6 && !memcmp(key, "symbol", 6)) { out->symbol = value; out->symbol_length = length; }
        else if (key_length == 5 && !memcmp(key, "price", 5) && value[-1] == '"') {
            out->price = value;
            out->price_length = length;
        }
    }
    return s + 1;
}

static int newer(const Entry *e, const Held *h) {
    return e->epoch != h->epoch ? (e->epoch > h->epoch ? 1 : -1) : e->number > h->number ? 1 : e->number == h->number ? 0 : -1;
}

static void keep(Held *h, const Entry *e, int64_t price) {
    h->seen = 1;
    h->epoch = e->epoch;
    h->number = e->number;
    h->price = price;
}

static void take_snapshot(Conn *c, const char *s, const char *end) {
    Entry e;
    while (s < end && *s == '{') {
        s = entry_at(s, end, &e);
        while (s < end && (*s == ',' || *s == ' ')) s++;
        Held *h = e.symbol ? held_of(c, e.symbol, e.symbol_length) : NULL;
        if (!h || !e.price) continue;
        snapshots++;
        if (!h->seen || newer(&e, h) >= 0) keep(h, &e, millionths(e.price, e.price_length));
    }
}

static void take_quotes(Conn *c, const char *s, const char *end, int64_t now) {
    Window *w = &windows[c->group];
    Entry e;
    w->frames++;
    while (s < end && *s == '{') {
        s = entry_at(s, end, &e);
        while (s < end && (*s == ',' || *s == ' ')) s++;
        Held *h = e.symbol && e.price ? held_of(c, e.symbol, e.symbol_length) : NULL;
        if (!h) { foreign++; continue; }
        int64_t price = millionths(e.price, e.price_length);
        int order = h->seen ? newer(&e, h) : 1;
        if (priced && price != right_price(h->symbol, e.number)) wrong++;
        if (order <= 0) {
            if (order < 0) falling++;
            else if (price != h->price) changed++;
            else repeated++;
            continue;
        }
        keep(h, &e, price);
        w->deliveries++;
        if (e.volume && base_us) {
            int64_t age = now - base_us - e.volume;
            if (age < 0) age = 0;
            if ((uint64_t)age > w->slowest) w->slowest = (uint64_t)age;
            w->ages[age / BUCKET_US < BUCKETS ? age / BUCKET_US : BUCKETS - 1]++;
        }
    }
}

/* --- the wire */

static void lose(Conn *c, int code) {
    if (c->fd >= 0) close(c->fd);
    if (c->state == CONNECTING || c->state == UPGRADING || c->state == SUBSCRIBING) pending--;
    c->fd = -1;
    c->mute = 0;
    free(c->rest);
    c->rest = NULL;
    c->left = 0;
    c->close_code = (uint16_t)code;
    char text[16];
    snprintf(text, sizeof text, "%d", code);
    tally(closes, text, strlen(text));
    c->state = GONE;
    if (retrying) {
        int64_t most = retry_first << (c->attempts > 10 ? 10 : c->attempts);
        if (most > retry_longest) most = retry_longest;
        c->retry_at = now_us() + (int64_t)(drand48() * (double)most);
        c->attempts++;
        c->state = WAITING;
    }
}

/* What we say is short and the way is free: a connection that takes no more is given up. Where the other side has
   closed already nothing is said any more, and what it said before is still read. */
static int put(Conn *c, const char *data, size_t length) {
    if (c->mute || send(c->fd, data, length, MSG_NOSIGNAL) == (ssize_t)length) return 1;
    if (errno == EPIPE || errno == ECONNRESET) return c->mute = 1;
    broken++;
    lose(c, 1006);
    return 0;
}

static int put_frame(Conn *c, int opcode, const char *data, size_t length) {
    static char out[65536];
    uint32_t mask = (uint32_t)lrand48();
    size_t head = 2;
    if (length > sizeof out - 16) return 1;
    out[0] = (char)(0x80 | opcode);
    if (length < 126) out[1] = (char)(0x80 | length);
    else {
        out[1] = (char)(0x80 | 126);
        out[2] = (char)(length >> 8);
        out[3] = (char)length;
        head = 4;
    }
    memcpy(out + head, &mask, 4);
    for (size_t i = 0; i < length; i++) out[head + 4 + i] = data[i] ^ ((char *)&mask)[i & 3];
    return put(c, out, head + 4 + length);
}

static int subscribe(Conn *c) {
    static char text[65536];
    size_t at = (size_t)sprintf(text, "{\"type\":\"subscribe\",\"id\":\"1\",\"symbols\":[");
    for (int i = 0; i < c->count; i++)
        at += (size_t)sprintf(text + at, "%s\"%s\"", i ? "," : "", symbols[c->held[i].symbol]);
    at += (size_t)sprintf(text + at, "]");
    int told = 0;
    for (int i = 0; i < c->count; i++) {
        Held *h = &c->held[i];
        if (!h->seen) continue;
        at += (size_t)sprintf(text + at, "%s\"%s\":[%lld,%lld]", told++ ? "," : ",\"resume\":{",
                              symbols[h->symbol], (long long)h->epoch, (long long)h->number);
    }
    at += (size_t)sprintf(text + at, told ? "}}" : "}");
    c->state = SUBSCRIBING;
    return put_frame(c, 1, text, at);
}

static void is_ready(Conn *c, const char *s, const char *end, int64_t now) {
    const char *granted = memmem(s, (size_t)(end - s), "\"symbols\":[", 11);
    const char *quotes = memmem(s, (size_t)(end - s), "\"quotes\":[", 10);
    int count = 0;
    if (granted)
        for (const char *p = granted + 11; p < end && *p != ']'; p++) count += *p == '"';
    if (memmem(s, (size_t)(end - s), "\"recovered\":true", 16)) recovered++;
    else unrecovered++;
    if (quotes) take_snapshot(c, quotes + 10, end);
    const char *missed = memmem(s, (size_t)(end - s), "\"missed\":[", 10);
    if (missed) take_snapshot(c, missed + 10, end);
    if (c->state != SUBSCRIBING) return;
    pending--;
    c->state = READY;
    c->attempts = 0;
    last_ready_at = now;
    if (count / 2 != c->count) tally(errors, "granted_less", 12);
}

static void take_text(Conn *c, const char *s, size_t length, int64_t now) {
    const char *end = s + length;
    if (length > 22 && !memcmp(s, "{\"type\":\"quotes\",\"q\":[", 22)) take_quotes(c, s + 22, end, now);
    else if (length > 18 && !memcmp(s, "{\"type\":\"heartbeat\"", 18)) {
        heartbeats++;
        const char *t = memmem(s, length, "\"t\":", 4);
        if (acks && t && memmem(s, length, "\"ack\":", 6)) { /* it asks how far we have read */
            char text[64];
            put_frame(c, 1, text, (size_t)sprintf(text, "{\"type\":\"ack\",\"t\":%lld}", strtoll(t + 4, NULL, 10)));
        }
    } else if (length > 20 && !memcmp(s, "{\"type\":\"subscribed\"", 20)) is_ready(c, s, end, now);
    else if (length > 16 && !memcmp(s, "{\"type\":\"error\"", 15)) {
        const char *code = memmem(s, length, "\"code\":\"", 8);
        const char *stop = code ? memchr(code + 8, '"', (size_t)(end - code - 8)) : NULL;
        if (stop) tally(errors, code + 8, (size_t)(stop - code - 8));
        if (c->state == SUBSCRIBING) lose(c, 1000);
    } else if (length > 16 && !memcmp(s, "{\"type\":\"stale\"", 15)) stale++;
    else if (length > 18 && !memcmp(s, "{\"type\":\"cadence\"", 17)) cadences++;
}

static const char *take_frames(Conn *c, const char *s, const char *end, int64_t now) {
    while (c->fd >= 0 && end - s >= 2) {
        const unsigned char *u = (const unsigned char *)s;
        uint64_t length = u[1] & 0x7f;
        size_t head = 2;
        if (length == 126) {
            if (end - s < 4) break;
            length = (uint64_t)u[2] << 8 | u[3];
            head = 4;
        } else if (length == 127) {
            if (end - s < 10) break;
            length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | u[i];
            head = 10;
        }
        if ((uint64_t)(end - s) < head + length) break;
        const char *body = s + head;
        s = body + length;
        switch (u[0]) {
            case 0x81: take_text(c, body, length, now); break;
            case 0x89: put_frame(c, 10, body, length); break;
            case 0x8a: break;
            case 0x88: lose(c, length >= 2 ? (unsigned char)body[0] << 8 | (unsigned char)body[1] : 1005); break;
            default: broken++; lose(c, 1002); /* fragments and compression were not asked for */
        }
    }
    return s;
}

static const char *upgraded(Conn *c, const char *s, const char *end) {
    const char *stop = memmem(s, (size_t)(end - s), "\r\n\r\n", 4);
    if (!stop) return s;
    if (end - s < 12 || memcmp(s, "HTTP/1.1 101", 12)) {
        tally(errors, s, end - s < 12 ? (size_t)(end - s) : 12);
        lose(c, 1006);
        return end;
    }
    return subscribe(c) ? stop + 4 : end;
}

static void readable(Conn *c) {
    if (c->left) memcpy(buffer, c->rest, c->left);
    ssize_t got = recv(c->fd, buffer + c->left, BUFFER - c->left, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) { lose(c, 1006); return; }
    windows[c->group].bytes += (uint64_t)got;
    const char *s = buffer, *end = buffer + c->left + got;
    int64_t now = now_us();
    if (c->state == UPGRADING) s = upgraded(c, s, end);
    if (c->fd >= 0 && c->state > UPGRADING) s = take_frames(c, s, end, now);
    if (c->fd < 0) return;
    size_t left = (size_t)(end - s);
    if (left == BUFFER) { broken++; lose(c, 1009); return; }
    if (left > c->left || left == 0) c->rest = left ? realloc(c->rest, left) : (free(c->rest), NULL);
    if (left) memcpy(c->rest, s, left);
    c->left = (uint32_t)left;
}

static void greet(Conn *c) {
    static char text[4096];
    c->state = UPGRADING;
    int n = snprintf(text, sizeof text,
        "GET %s HTTP/1.1\r\nHost: localhost:%d\r\nOrigin: http://localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: b25ldGFwZS1iZW5jaG1hcg==\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
        path, tcp_port, tcp_port, *c->cookie == '-' ? "" : "Cookie: ", *c->cookie == '-' ? "" : c->cookie, *c->cookie == '-' ? "" : "\r\n");
    put(c, text, (size_t)n);
}

static void watch(Conn *c, uint32_t events, int operation) {
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t)(c - conns)};
    if (epoll_ctl(epoll, operation, c->fd, &e) < 0) die("epoll_ctl");
}

static void open_one(Conn *c) {
    c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    if (family == AF_INET) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (rcvbuf[c->group]) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf[c->group], sizeof(int));
    c->state = CONNECTING;
    pending++;
    if (connect(c->fd, (struct sockaddr *)&address, address_length) == 0) {
        watch(c, EPOLLIN, EPOLL_CTL_ADD);
        greet(c);
    } else if (errno == EINPROGRESS) watch(c, EPOLLOUT, EPOLL_CTL_ADD);
    else if (errno == EAGAIN) { /* a full queue of a Unix socket: the same one again, a little later */
        close(c->fd);
        c->fd = -1;
        pending--;
        c->state = WAITING;
        c->retry_at = now_us() + 20000;
    } else lose(c, 1006);
}

static void connected(Conn *c) {
    int error = 0;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error) { lose(c, 1006); return; }
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    greet(c);
}

/* --- orders */

static uint32_t in_state(int state) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < conn_count; i++) count += conns[i].state == state;
    return count;
}

static double seconds_of(const struct rusage *u) {
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

static double age_ms(const Window *w, double share) {
    uint64_t total = 0, sum = 0;
    for (int i = 0; i < BUCKETS; i++) total += w->ages[i];
    for (int i = 0; i < BUCKETS; i++)
        if ((sum += w->ages[i]) && (double)sum >= share * (double)total) return (i + 1) * BUCKET_US / 1000.0;
    return 0;
}

static void print_kinds(const char *name, const Kind *kinds) {
    printf(",\"%s\":{", name);
    for (int i = 0; i < KINDS && kinds[i].count; i++)
        printf("%s\"%s\":%llu", i ? "," : "", kinds[i].name, (unsigned long long)kinds[i].count);
    printf("}");
}

static void begin(void) {
    for (int g = 0; g < GROUPS; g++) {
        uint32_t *ages = windows[g].ages;
        memset(ages, 0, BUCKETS * sizeof *ages);
        windows[g] = (Window){.ages = ages};
    }
    getrusage(RUSAGE_SELF, &window_usage);
    window_began = now_us();
}

static void end(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"seconds\":%.6f,\"cpu_s\":%.6f,\"groups\":[", (double)(now_us() - window_began) / 1e6,
           seconds_of(&usage) - seconds_of(&window_usage));
    for (int g = 0; g < GROUPS; g++) {
        Window *w = &windows[g];
        printf("%s{\"deliveries\":%llu,\"frames\":%llu,\"bytes\":%llu,\"p50_ms\":%.1f,\"p95_ms\":%.1f,"
               "\"p99_ms\":%.1f,\"max_ms\":%.1f}", g ? "," : "",
               (unsigned long long)w->deliveries, (unsigned long long)w->frames, (unsigned long long)w->bytes,
               age_ms(w, .5), age_ms(w, .95), age_ms(w, .99), (double)w->slowest / 1000);
    }
    printf("]}\n");
}

static void status(void) {
    printf("{\"ready\":%u,\"waiting\":%u,\"gone\":%u,\"under_way\":%u,\"last_ready_us\":%lld,\"falling\":%llu,\"repeated\":%llu,"
           "\"changed\":%llu,\"wrong\":%llu,\"foreign\":%llu,\"broken\":%llu,\"heartbeats\":%llu,\"stale\":%llu,"
           "\"cadences\":%llu,\"recovered\":%llu,\"unrecovered\":%llu,\"snapshots\":%llu",
           in_state(READY), in_state(WAITING), in_state(GONE), pending, (long long)last_ready_at,
           (unsigned long long)falling, (unsigned long long)repeated, (unsigned long long)changed, (unsigned long long)wrong,
           (unsigned long long)foreign, (unsigned long long)broken, (unsigned long long)heartbeats,
           (unsigned long long)stale, (unsigned long long)cadences, (unsigned long long)recovered,
           (unsigned long long)unrecovered, (unsigned long long)snapshots);
    print_kinds("closes", closes);
    print_kinds("errors", errors);
    printf("}\n");
}

static void finals(const char *file) {
    FILE *f = fopen(file, "w");
    if (!f) die(file);
    for (uint32_t i = 0; i < conn_count; i++) {
        Conn *c = &conns[i];
        for (int k = 0; k < c->count; k++) {
            Held *h = &c->held[k];
            fprintf(f, "%u %d %d %d %s %d %lld %lld %lld\n", i, c->group, c->state == READY, c->close_code,
                    symbols[h->symbol], h->seen, (long long)h->epoch, (long long)h->number, (long long)h->price);
        }
    }
    fclose(f);
    printf("{\"written\":true}\n");
}

static void set_asleep(int group, int asleep) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < conn_count; i++) {
        Conn *c = &conns[i];
        if (c->group != group || c->asleep == asleep) continue;
        c->asleep = (uint8_t)asleep;
        if (c->fd >= 0) watch(c, asleep ? 0 : EPOLLIN, asleep ? EPOLL_CTL_DEL : EPOLL_CTL_ADD), count++;
    }
    printf("{\"count\":%u}\n", count);
}

static void cut(uint32_t count) {
    uint32_t ready = in_state(READY), cut = 0;
    for (uint32_t i = 0; i < conn_count && ready; i++)
        if (conns[i].state == READY && drand48() * ready < count) {
            setsockopt(conns[i].fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
            lose(&conns[i], 1006);
            cut++;
        }
    printf("{\"count\":%u}\n", cut);
}

static void start_connecting(int group) {
    for (uint32_t i = 0; i < conn_count; i++)
        if ((group < 0 || conns[i].group == group) && conns[i].state == UNUSED) conns[i].wanted = 1;
    connect_began = now_us();
    connect_sent = 0;
    connecting_from = 0;
    connect_open = 1;
}

static void obey(char *line) {
    char *word = strtok(line, " \n"), *value = strtok(NULL, " \n");
    if (!word) return;
    if (!strcmp(word, "connect")) start_connecting(atoi(value));
    else if (!strcmp(word, "begin")) { begin(); printf("{}\n"); }
    else if (!strcmp(word, "end")) end();
    else if (!strcmp(word, "status")) status();
    else if (!strcmp(word, "sleep")) set_asleep(atoi(value), 1);
    else if (!strcmp(word, "wake")) set_asleep(atoi(value), 0);
    else if (!strcmp(word, "retry")) { retrying = atoi(value); printf("{}\n"); }
    else if (!strcmp(word, "cut")) cut((uint32_t)atoi(value));
    else if (!strcmp(word, "finals")) finals(value);
    fflush(stdout);
}

static void orders(void) {
    static char text[65536];
    static size_t length;
    ssize_t got = read(0, text + length, sizeof text - length - 1);
    if (got <= 0) exit(0);
    length += (size_t)got;
    text[length] = 0;
    char *stop;
    while ((stop = memchr(text, '\n', length))) {
        char line[4096];
        size_t n = (size_t)(stop - text) + 1;
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        memmove(text, text + n, length -= n);
        obey(line);
    }
}

/* New connections no faster than asked, and none while too many are under way. */
static void pace(void) {
    int64_t now = now_us();
    if (connect_open) {
        int64_t due = (int64_t)((double)(now - connect_began) * rate / 1e6) + 1;
        while (connecting_from < conn_count && pending < pending_most && connect_sent < due) {
            Conn *c = &conns[connecting_from++];
            if (c->wanted && c->state == UNUSED) { open_one(c); connect_sent++; }
        }
        if (connecting_from == conn_count && !pending && !in_state(WAITING)) {
            connect_open = 0;
            printf("{\"ready\":%u,\"gone\":%u,\"seconds\":%.3f}\n", in_state(READY), in_state(GONE),
                   (double)(now - connect_began) / 1e6);
            fflush(stdout);
        }
    }
    static int64_t looked;
    if (now - looked < 10000) return;
    looked = now;
    for (uint32_t i = 0; i < conn_count; i++)
        if (conns[i].state == WAITING && conns[i].retry_at <= now && pending < pending_most) open_one(&conns[i]);
}

/* --- the config */

static void add_conn(char *line) {
    int group, at = 0;
    char cookie[512];
    if (sscanf(line, "%d %511s %n", &group, cookie, &at) < 2) die("conn");
    Conn *c = &conns[conn_count++];
    *c = (Conn){.fd = -1, .group = (uint8_t)group, .cookie = strdup(cookie)};
    for (char *p = strtok(line + at, ", \n"); p; p = strtok(NULL, ", \n")) {
        c->held = realloc(c->held, (size_t)(c->count + 1) * sizeof *c->held);
        c->held[c->count++] = (Held){.symbol = (uint16_t)atoi(p)};
    }
}

static void configure(char *word, char *rest) {
    char host[64];
    int port, group, bytes;
    if (!strcmp(word, "tcp") && sscanf(rest, "%63s %d", host, &port) == 2) {
        struct sockaddr_in *a = (struct sockaddr_in *)&address;
        family = a->sin_family = AF_INET;
        a->sin_port = htons((uint16_t)(tcp_port = port));
        inet_pton(AF_INET, host, &a->sin_addr);
        address_length = sizeof *a;
    } else if (!strcmp(word, "unix")) {
        struct sockaddr_un *a = (struct sockaddr_un *)&address;
        family = a->sun_family = AF_UNIX;
        snprintf(a->sun_path, sizeof a->sun_path, "%s", strtok(rest, "\n"));
        address_length = sizeof *a;
    } else if (!strcmp(word, "path")) path = strdup(strtok(rest, "\n"));
    else if (!strcmp(word, "base")) base_us = atoll(rest);
    else if (!strcmp(word, "rate")) rate = atof(rest);
    else if (!strcmp(word, "pending")) pending_most = (uint32_t)atoi(rest);
    else if (!strcmp(word, "acks")) acks = atoi(rest);
    else if (!strcmp(word, "priced")) priced = atoi(rest);
    else if (!strcmp(word, "retry")) sscanf(rest, "%ld %ld", &retry_first, &retry_longest);
    else if (!strcmp(word, "rcvbuf") && sscanf(rest, "%d %d", &group, &bytes) == 2) rcvbuf[group] = bytes;
    else if (!strcmp(word, "symbols"))
        for (char *p = strtok(rest, " \n"); p; p = strtok(NULL, " \n")) learn_symbol(p);
    else if (!strcmp(word, "conn")) add_conn(rest);
    else die(word);
}

static void read_config(const char *file) {
    FILE *f = fopen(file, "r");
    char *line = NULL;
    size_t room = 0;
    uint32_t lines = 0;
    if (!f) die(file);
    while (getline(&line, &room, f) > 0) lines++;
    conns = calloc(lines, sizeof *conns);
    rewind(f);
    while (getline(&line, &room, f) > 0) {
        char *rest = strchr(line, ' ');
        if (!rest) continue;
        *rest = 0;
        configure(line, rest + 1);
    }
    fclose(f);
}

int main(int count, char **words) {
    if (count != 2) die("usage: client CONFIG");
    signal(SIGPIPE, SIG_IGN);
    memset(table, -1, sizeof table);
    buffer = malloc(BUFFER);
    for (int g = 0; g < GROUPS; g++) windows[g].ages = calloc(BUCKETS, sizeof(uint32_t));
    srand48(1);
    read_config(words[1]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event in = {.events = EPOLLIN, .data.u32 = STDIN}, events[512];
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &in);
    begin();
    for (;;) {
        int got = epoll_wait(epoll, events, 512, connect_open || retrying ? 5 : 1000);
        for (int i = 0; i < got; i++) {
            if (events[i].data.u32 == STDIN) { orders(); continue; }
            Conn *c = &conns[events[i].data.u32];
            if (c->fd < 0) continue;
            if (c->state == CONNECTING) connected(c);
            else readable(c);
        }
        pace();
    }
}
