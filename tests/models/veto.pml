/*
 * A vote, its licence, crashes and a change of epoch, against a malicious coordinator. See docs/model.md.
 *
 * Configuration, searched exhaustively:
 *   - 3 seats, quorum k = 2; seat 1 holds a veto by rule. One seat may be malicious (none, 1 or 3; 2 is as 3).
 *   - one proposal under each epoch of the treaty; the log takes LOG_MAX ballots, a seat has NONCES nonces.
 *   - every honest seat may crash and restart at any step, as often as it likes.
 *   - with EPOCHS 2 the treaty may move to epoch 2 at any step; then any seat, or none, may be malicious.
 * The tests search LOG_MAX 4, NONCES 2, EPOCHS 1 and LOG_MAX 3, NONCES 1, EPOCHS 2.
 *
 * The coordinator and the network are the nondeterminism itself: which ballot is logged, when, again or never;
 * which direct veto arrives; who is asked to sign which prefix of the log, when, how often. The log is one
 * sequence (the witness quorum, VN-3.4). A licence is named by the prefix that it derives from (VN-7.1).
 *
 * Weaker than the protocol, so that what holds here holds there: no signer remembers how much of the log it
 * saw; shares over one licence combine across signing sessions; a malicious seat signs all, before it is asked.
 */

#ifndef LOG_MAX
#define LOG_MAX 4
#endif
#ifndef NONCES
#define NONCES 2
#endif
#ifndef EPOCHS
#define EPOCHS 1
#endif

/* What is claimed; -DPROPERTY=S2 claims one of them only. */
#define EVERY 0
#define S1 1
#define S2 2
#define S3 3
#define SINGLE 4
#define NONCE 5
#define EPOCH 6
#define BALLOT 7
#define NOTHING 8 /* for the questions below of what can be reached */
#ifndef PROPERTY
#define PROPERTY EVERY
#endif
#define CLAIMED(property) (PROPERTY == EVERY || PROPERTY == property)

#define SEATS 3
#define K 2
#define HOLDER 1
#define NOBODY 0

#define NONE 0
#define GRANT 1
#define VETO 2

#define UNMADE 0
#define LIVE 1
#define GONE 2

#define BIT(x) (1 << (x))
#define IS_HONEST(p) ((p) != bad)

/* A ballot in the log: who, what, under which epoch. */
#define LEAF(p, choice, era) (((era) - 1) * 8 + (p) * 2 + (choice) - 1)
#define VOTER(leaf) (((leaf) % 8) / 2)
#define CHOICE(leaf) ((leaf) % 2 + 1)
#define ERA(leaf) ((leaf) / 8 + 1)

byte bad = NOBODY;         /* the malicious seat of this epoch */
byte epoch = 1;
bool closed = false;       /* the voting window is over */
byte log[LOG_MAX];
byte size = 0;
byte size_at_close = 0;

byte vote[4];              /* journal of an honest seat: its own ballot */
byte promised[4];            /* journal of an honest seat: the licence it signs, 0 for none */
byte known = 0;            /* journal of the honest seats: who knows of a direct veto of the holder */
byte nonce[8];             /* memory of an honest seat: two for each */

byte told = 0;             /* ghost: to whom a direct veto was delivered before the close */
byte answered = 0;         /* ghost: which nonces a share has used */
byte shares[4];            /* what left each honest seat: licences, as bits */

byte old_bad = NOBODY;     /* epoch 1, once it is over */
byte old_shares[4];

byte chip_epoch = 1;
byte accepted = 0;         /* how many licences of the current proposal the chip took */

hidden byte i;
hidden byte j;
hidden byte grants;
hidden byte vetoes;
hidden byte seen;
hidden byte doubled;
hidden byte granting;

/* --------------------------------------------------------------------------------------- what is claimed */

#define HAS_SHARE(p, licence) (((shares[p] >> (licence)) & 1) || bad == (p))
#ifdef BUG_OLD_SHARES_COMBINE
#define SHARE_COUNTS(p, licence) (HAS_SHARE(p, licence) || (epoch == 2 && old_bad == (p)))
#else
#define SHARE_COUNTS(p, licence) HAS_SHARE(p, licence)
#endif
#define EXISTS(licence) (SHARE_COUNTS(1, licence) + SHARE_COUNTS(2, licence) + SHARE_COUNTS(3, licence) >= K)

#define HAS_OLD_SHARE(p, licence) (((old_shares[p] >> (licence)) & 1) || old_bad == (p))
#define EXISTED(licence) \
    (HAS_OLD_SHARE(1, licence) + HAS_OLD_SHARE(2, licence) + HAS_OLD_SHARE(3, licence) >= K)

#define HONEST_GRANT(p) (IS_HONEST(p) && vote[p] == GRANT)
#define HONEST_GRANTS (HONEST_GRANT(1) + HONEST_GRANT(2) + HONEST_GRANT(3))

#define KNOWS_BY_DELIVERY(p) \
    (IS_HONEST(p) && (((told >> (p)) & 1) || ((p) == HOLDER && vote[p] == VETO)))
#define HONEST_TOLD (KNOWS_BY_DELIVERY(1) + KNOWS_BY_DELIVERY(2) + KNOWS_BY_DELIVERY(3))

#define VETO_LEAF_AT(at) (size_at_close > (at) && log[at] == LEAF(HOLDER, VETO, epoch))
#define IS_LEAF_AT(at, leaf) (size > (at) && log[at] == (leaf))
#if LOG_MAX == 3
#define IN_LOG(leaf) (IS_LEAF_AT(0, leaf) || IS_LEAF_AT(1, leaf) || IS_LEAF_AT(2, leaf))
#define VETO_WAS_LOGGED (VETO_LEAF_AT(0) || VETO_LEAF_AT(1) || VETO_LEAF_AT(2))
#define LICENCES (EXISTS(1) + EXISTS(2) + EXISTS(3))
#elif LOG_MAX == 4
#define IN_LOG(leaf) \
    (IS_LEAF_AT(0, leaf) || IS_LEAF_AT(1, leaf) || IS_LEAF_AT(2, leaf) || IS_LEAF_AT(3, leaf))
#define VETO_WAS_LOGGED (VETO_LEAF_AT(0) || VETO_LEAF_AT(1) || VETO_LEAF_AT(2) || VETO_LEAF_AT(3))
#define LICENCES (EXISTS(1) + EXISTS(2) + EXISTS(3) + EXISTS(4))
#else
#error "LOG_MAX is 3 or 4"
#endif
#define LOGGED(p, choice) IN_LOG(LEAF(p, choice, epoch))

/* S1: k different seats granted in the prefix, and every honest seat that counts towards k did grant. */
#define S1_HOLDS (granting >= K && HONEST_GRANTS >= 1 && HONEST_GRANTS + (bad != NOBODY) >= K)
/* S2: no veto of the holder was in the log at the close, and none had reached n - k + 1 = 2 honest seats. */
#define S2_HOLDS (!VETO_WAS_LOGGED && HONEST_TOLD < SEATS - K + 1)
/* S3: the chip took at most one licence of the proposal. */
#define S3_HOLDS (accepted <= 1)
/* SINGLE: with nobody malicious there is only one. */
#define SINGLE_HOLDS (bad != NOBODY || LICENCES <= 1)

/* Counts the seats that granted in the prefix; apart from `review`, so as not to repeat its mistakes. */
inline count_granting(licence) {
    granting = 0; j = 1;
    do
    :: j <= SEATS ->
        i = 0;
        do
        :: i < licence && log[i] != LEAF(j, GRANT, epoch) -> i++
        :: else -> break
        od;
        granting = granting + (i < licence);
        j++
    :: else -> break
    od
}

inline judge_licence(licence) {
    count_granting(licence);
#if CLAIMED(S1)
    assert(S1_HOLDS);
#endif
#if CLAIMED(S2)
    assert(S2_HOLDS);
#endif
#if CLAIMED(SINGLE)
    assert(SINGLE_HOLDS);
#endif
#ifdef REACH_LICENCE_DESPITE_A_VETO_FEW_KNOW
    assert(HONEST_TOLD != SEATS - K); /* S2 is tight: one fewer, and a licence can exist */
#endif
#ifdef REACH_TWO_LICENCES_WITH_ONE_MALICIOUS
    assert(LICENCES <= 1); /* why the chip must look too */
#endif
    j = 0
}

/* ---------------------------------------------------------------------------------------- an honest seat */

/* Sets `agrees`: what VN-7.3 has the seat look at in the prefix that it was shown. */
inline review(p, prefix) {
    grants = 0; vetoes = 0; seen = 0; doubled = 0; i = 0;
    do
    :: i < prefix ->
#ifdef BUG_OLD_EPOCH_BALLOT_COUNTED
        if
        :: true ->
#else
        if
        :: ERA(log[i]) == epoch ->
#endif
            if
            :: CHOICE(log[i]) == GRANT -> grants++
            :: CHOICE(log[i]) == VETO && VOTER(log[i]) == HOLDER -> vetoes++
            :: else
            fi;
            doubled = doubled | (seen & BIT(VOTER(log[i])));
            seen = seen | BIT(VOTER(log[i]))
        :: else
        fi;
        i++
    :: else -> break
    od;
    agrees = grants >= K && vetoes == 0 && ((seen >> p) & 1);
#ifdef BUG_TRUST_COORDINATOR_TALLY
    agrees = 1;
#endif
#ifndef BUG_DOUBLE_BALLOT_COUNTED
    agrees = agrees && !doubled; /* a log with two ballots of one seat is believed by nobody (VN-11.3) */
#endif
#ifndef BUG_STALE_LOG_BELIEVED
    agrees = agrees && prefix >= size_at_close; /* a checkpoint cosigned after the close */
#endif
#ifndef BUG_SIGN_BEFORE_CLOSE
    agrees = agrees && closed;
#endif
#ifndef BUG_IGNORE_DIRECT_VETO
    agrees = agrees && !((known >> p) & 1);
#endif
    agrees = agrees && (promised[p] == 0 || promised[p] == prefix)
}

inline use_nonce(p, slot) {
#if CLAIMED(NONCE)
    assert(!((answered >> ((p) * 2 + (slot) - 2)) & 1)); /* one nonce, one message */
#endif
    answered = answered | BIT((p) * 2 + (slot) - 2);
    nonce[(p) * 2 + (slot)] = GONE
}

/* All that is not journalled is lost. */
inline crash(p) {
    j = 0;
    do
    :: j < 2 ->
#ifdef BUG_NONCE_REUSED_AFTER_RESTART
        if
        :: nonce[p * 2 + j] != UNMADE -> nonce[p * 2 + j] = LIVE /* kept on disk, and not burnt there */
        :: else
        fi;
#else
        if
        :: nonce[p * 2 + j] == LIVE -> nonce[p * 2 + j] = GONE
        :: else
        fi;
#endif
        j++
    :: else -> break
    od;
#ifdef BUG_VETO_NOT_JOURNALLED
    known = known & (255 - BIT(p));
#endif
#ifdef BUG_FORGET_SIGNED_LICENCE
    promised[p] = 0;
#endif
#ifdef BUG_BALLOT_NOT_JOURNALLED
    vote[p] = NONE;
#endif
    j = 0
}

proctype Seat(byte p) {
    byte prefix = 0;
    byte slot = 0;
    bit agrees = 0;
end:
    do
    /* One ballot, journalled before it leaves (VN-6.4). */
    :: atomic {
        !closed && IS_HONEST(p) && vote[p] == NONE ->
        if
        :: vote[p] = GRANT
        :: vote[p] = VETO
        fi;
#if CLAIMED(BALLOT)
        assert(!LOGGED(p, GRANT + VETO - vote[p])) /* never the other choice after one that is in the log */
#endif
    }
    /* A veto of the holder arrives directly, is journalled, and only then acknowledged. */
    :: d_step {
        !closed && IS_HONEST(p) && p != HOLDER && !((told >> p) & 1) &&
        (bad == HOLDER || vote[HOLDER] == VETO) ->
        known = known | BIT(p);
        told = told | BIT(p)
    }
    /* Round 1: a fresh commitment for a signing session; its nonce lives in memory. */
    :: d_step { IS_HONEST(p) && nonce[p * 2] == UNMADE -> nonce[p * 2] = LIVE }
#if NONCES == 2
    :: d_step {
        IS_HONEST(p) && nonce[p * 2] != UNMADE && nonce[p * 2 + 1] == UNMADE -> nonce[p * 2 + 1] = LIVE
    }
#endif
    /* Round 2: asked for a share over the licence of some prefix. Journal first, then the share leaves. */
    :: atomic {
        IS_HONEST(p) && vote[p] == GRANT && (nonce[p * 2] == LIVE || nonce[p * 2 + 1] == LIVE) ->
        if
        :: nonce[p * 2] == LIVE -> slot = 0
        :: nonce[p * 2 + 1] == LIVE -> slot = 1
        fi;
        if
        :: size >= 1 -> prefix = 1
        :: size >= 2 -> prefix = 2
        :: size >= 3 -> prefix = 3
#if LOG_MAX == 4
        :: size >= 4 -> prefix = 4
#endif
        :: else
        fi;
        d_step { review(p, prefix) };
        if
        :: agrees && prefix > 0 ->
            d_step {
                use_nonce(p, slot);
#ifdef REACH_RECOVERY_AFTER_A_CRASH
                /* journalled, crashed before the share left, and now it leaves under a new nonce */
                assert(!(promised[p] == prefix && !((shares[p] >> prefix) & 1)));
#endif
#ifdef BUG_SHARE_BEFORE_JOURNAL
                shares[p] = shares[p] | BIT(prefix)
#else
                promised[p] = prefix
#endif
            };
            if
#ifdef BUG_SHARE_BEFORE_JOURNAL
            :: promised[p] = prefix
#else
            :: shares[p] = shares[p] | BIT(prefix)
#endif
            :: d_step { crash(p) }
            fi
        :: else
        fi;
        d_step { prefix = 0; slot = 0; agrees = 0 }
    }
    :: d_step { IS_HONEST(p) -> crash(p) }
    od
}

/* ------------------------------------------------------------------------- coordinator, clock and treaty */

#define MAY_LOG(p, choice) (size < LOG_MAX && (bad == (p) || vote[p] == (choice)))

inline append(p, choice) {
    log[size] = LEAF(p, choice, epoch);
    size++
}

/* Logs any ballot that was signed, at any time, also late, also twice; or keeps it. */
proctype Coordinator() {
end:
    do
    :: d_step { MAY_LOG(1, GRANT) -> append(1, GRANT) }
    :: d_step { MAY_LOG(1, VETO) -> append(1, VETO) }
    :: d_step { MAY_LOG(2, GRANT) -> append(2, GRANT) }
    :: d_step { MAY_LOG(2, VETO) -> append(2, VETO) }
    :: d_step { MAY_LOG(3, GRANT) -> append(3, GRANT) }
    :: d_step { MAY_LOG(3, VETO) -> append(3, VETO) }
    od
}

proctype Clock() {
end:
    do
    :: d_step { !closed -> closed = true; size_at_close = size }
    od
}

#if EPOCHS == 2
/* Every seat of epoch 2 signed its treaty; the old shares are erased, the proposal is put anew. */
proctype Treaty() {
end:
    do
    :: atomic {
        epoch == 1 ->
        d_step {
            epoch = 2; closed = false; size_at_close = 0; known = 0; told = 0; answered = 0;
            old_bad = bad;
            j = 1;
            do
            :: j <= SEATS ->
                old_shares[j] = shares[j];
                shares[j] = 0; vote[j] = NONE; promised[j] = 0;
                nonce[j * 2] = UNMADE; nonce[j * 2 + 1] = UNMADE;
                j++
            :: else -> break
            od;
            j = 0
        };
        if
        :: bad = NOBODY
        :: bad = 1
        :: bad = 2
        :: bad = 3
        fi
    }
    od
}
#endif

/* ---------------------------------------------------------------------------------------------- the chip */

inline accept_licence(era) {
#ifndef BUG_CHIP_ACCEPTS_TWICE
    if
    :: accepted == 0 ->
#else
    if
    :: accepted < 2 ->
#endif
        accepted++;
#if CLAIMED(S3)
        assert(S3_HOLDS);
#endif
#if CLAIMED(EPOCH)
        assert(era == chip_epoch); /* never a licence of an epoch that is over for the chip */
#endif
#ifdef REACH_LICENCE
        assert(false);
#endif
#ifdef REACH_LICENCE_WITH_ONE_MALICIOUS
        assert(bad == NOBODY);
#endif
#ifdef REACH_LICENCE_AFTER_EPOCH_CHANGE
        assert(era == 1);
#endif
    :: else
    fi
}

inline offer_licence() {
    if
    :: epoch == chip_epoch -> accept_licence(epoch)
    :: else
    fi
}

/* It is offered whatever exists. What exists is judged whether or not the chip takes it. */
proctype Chip() {
end:
    do
    :: d_step { EXISTS(1) -> judge_licence(1); offer_licence() }
    :: d_step { EXISTS(2) -> judge_licence(2); offer_licence() }
    :: d_step { EXISTS(3) -> judge_licence(3); offer_licence() }
#if LOG_MAX == 4
    :: d_step { EXISTS(4) -> judge_licence(4); offer_licence() }
#endif
#if EPOCHS == 2
    :: d_step { chip_epoch < epoch -> chip_epoch = epoch; accepted = 0 }
#ifdef BUG_OLD_EPOCH_ACCEPTED
#define OLD_IS_TAKEN true
#else
#define OLD_IS_TAKEN (chip_epoch == 1)
#endif
    :: d_step {
        epoch == 2 && OLD_IS_TAKEN && (EXISTED(1) || EXISTED(2) || EXISTED(3) || EXISTED(LOG_MAX)) ->
        accept_licence(1)
    }
#endif
    od
}

init {
    atomic {
        if
        :: bad = NOBODY
        :: bad = HOLDER
        :: bad = 3
        fi;
        run Seat(1); run Seat(2); run Seat(3);
        run Coordinator(); run Clock(); run Chip();
#if EPOCHS == 2
        run Treaty()
#endif
    }
}
