/*
 * Leases, withdrawal of consent and suspension, against a malicious coordinator. See docs/model.md.
 *
 * Configuration, searched exhaustively:
 *   - 3 seats, quorum k = 2; seat 1 is a veto holder. One seat may be malicious (none, 1 or 3; 2 is as 3).
 *   - one licence, one chip that may lose power at any step; time runs in ticks from 0 to LAST.
 *   - lease n allows UNITS of work in any tick up to n; it may be signed from tick n - 1 on, so it lasts at most
 *     two ticks, and may be renewed in every one.
 *   - the chip's clock is right, or (held) as far behind as the adversary likes.
 *   - every honest seat may withdraw, and crash and restart, at any step; one suspension of SUSPENSION ticks.
 * The tests search LAST 4, UNITS 2, SUSPENSION 3.
 *
 * The coordinator and the network are the nondeterminism itself: which lease is asked of whom, which shares
 * combine, what reaches the chip, whether a withdrawal is logged or arrives directly. A malicious seat signs
 * every lease, and where it is the holder it withdraws towards whom it likes.
 *
 * Two reductions, neither of which changes what can happen to the chip: once a lease exists, who signed it is
 * forgotten; of a lease that the chip can no longer take, everything is.
 */

#ifndef LAST
#define LAST 4
#endif
#ifndef UNITS
#define UNITS 2
#endif
#ifndef SUSPENSION
#define SUSPENSION 3
#endif

/* What is claimed; -DPROPERTY=TIME claims one of them only. */
#define EVERY 0
#define TIME 1
#define COUNT 2
#define SUSPENDED 3
#define NOTHING 4 /* for the questions below of what can be reached */
#ifndef PROPERTY
#define PROPERTY EVERY
#endif
#define CLAIMED(property) (PROPERTY == EVERY || PROPERTY == property)

#define SEATS 3
#define K 2
#define HOLDER 1
#define NOBODY 0
#define NEVER 99

#define BIT(x) (1 << (x))
#define HAS(mask, x) (((mask) >> (x)) & 1)
#define IS_HONEST(p) ((p) != bad)

byte bad = NOBODY;
bool held = false;          /* the chip's clock may be held back */
byte now = 0;

byte withdrawn = 0;         /* journals: which honest seats withdrew their consent, as bits */
byte known = 0;             /* journals: which honest seats know directly that the holder withdrew */
byte shares[4];             /* leases that each honest seat signed, as bits */
byte logged_at = NEVER;     /* when the holder's withdrawal came into the log */
byte suspended_at = NEVER;  /* when the suspension came into the log */

byte refusing = 0;          /* ghost: which honest seats withdrew or acknowledged the holder's withdrawal */
byte withdrawn_at = NEVER;  /* ghost: since when enough refuse, or the holder's withdrawal is in the log */
byte work = 0;              /* ghost: what the chip did in all */

byte chip_now = 0;
byte lease = 0;             /* the chip's durable memory: the newest lease it took */
byte left = 0;              /* and what that one still allows */

hidden byte j;

/* --------------------------------------------------------------------------------------- what is claimed */

/* S4 for a right clock: the chip works in the tick after the withdrawal at the latest. A lease is two ticks. */
#define TIME_HOLDS (held || withdrawn_at == NEVER || now <= withdrawn_at + 1)
/* S4 for any clock: in all it does no more than what the leases signed until the withdrawal allow. */
#define COUNT_HOLDS (withdrawn_at == NEVER || work <= UNITS * (withdrawn_at + 1))
/* Under a suspension the chip stops as early, and stays so until that lapses. */
#define SUSPENDED_HOLDS \
    (held || suspended_at == NEVER || now <= suspended_at + 1 || now >= suspended_at + SUSPENSION)

#define REFUSES(p) HAS(refusing, p)
#define ENOUGH_REFUSE (REFUSES(1) + REFUSES(2) + REFUSES(3) >= SEATS - K + 1)

inline note_withdrawal() {
    if
    :: withdrawn_at == NEVER && (ENOUGH_REFUSE || logged_at != NEVER) -> withdrawn_at = now
    :: else
    fi
}

/* ---------------------------------------------------------------------------------------- an honest seat */

#define HAS_SHARE(p, n) (HAS(shares[p], n) || bad == (p))
#define EXISTS(n) (HAS_SHARE(1, n) + HAS_SHARE(2, n) + HAS_SHARE(3, n) >= K)

#ifdef BUG_LEASES_SIGNED_AHEAD
#define IS_DUE(n) true
#else
#define IS_DUE(n) ((n) <= now + 1)
#endif
#ifdef BUG_LEASE_WITHOUT_CONSENT
#define CONSENTS(p) true
#else
#define CONSENTS(p) (!HAS(withdrawn, p) && !HAS(known, p))
#endif
/* It reads the log under a checkpoint cosigned in this tick: what was logged before this tick is in it. */
#ifdef BUG_STALE_LOG_BELIEVED
#define LOG_CONSENTS true
#else
#define LOG_CONSENTS (logged_at >= now)
#endif
#ifdef BUG_SUSPENSION_IGNORED
#define LOG_SUSPENDS false
#elif defined(BUG_SUSPENSION_NEVER_LAPSES)
#define LOG_SUSPENDS (suspended_at < now)
#else
#define LOG_SUSPENDS (suspended_at < now && now < suspended_at + SUSPENSION)
#endif

#define SIGNS(p, n) \
    (IS_HONEST(p) && (n) > lease && !HAS(shares[p], n) && \
    IS_DUE(n) && CONSENTS(p) && LOG_CONSENTS && !LOG_SUSPENDS)

inline sign_lease(p, n) {
    shares[p] = shares[p] | BIT(n);
    if
    :: EXISTS(n) ->
        j = 1;
        do
        :: j <= SEATS -> shares[j] = shares[j] | BIT(n); j++
        :: else -> break
        od
    :: else
    fi;
    j = 0
}

proctype Seat(byte p) {
end:
    do
    :: d_step { SIGNS(p, 1) -> sign_lease(p, 1) }
    :: d_step { SIGNS(p, 2) -> sign_lease(p, 2) }
    :: d_step { SIGNS(p, 3) -> sign_lease(p, 3) }
    :: d_step { SIGNS(p, 4) -> sign_lease(p, 4) }
    :: d_step { SIGNS(p, 5) -> sign_lease(p, 5) }
    /* It withdraws: journalled first. */
    :: d_step {
        IS_HONEST(p) && !REFUSES(p) ->
        withdrawn = withdrawn | BIT(p);
        refusing = refusing | BIT(p);
        note_withdrawal()
    }
    /* The holder's withdrawal arrives directly, is journalled, and only then acknowledged. */
    :: d_step {
        IS_HONEST(p) && p != HOLDER && !REFUSES(p) && (bad == HOLDER || HAS(withdrawn, HOLDER)) ->
        known = known | BIT(p);
        refusing = refusing | BIT(p);
        note_withdrawal()
    }
    /* A crash loses what is not journalled. */
#ifdef BUG_WITHDRAWAL_NOT_JOURNALLED
    :: d_step { IS_HONEST(p) && HAS(withdrawn, p) -> withdrawn = withdrawn & (255 - BIT(p)) }
#endif
#ifdef BUG_DIRECT_WITHDRAWAL_NOT_JOURNALLED
    :: d_step { IS_HONEST(p) && HAS(known, p) -> known = known & (255 - BIT(p)) }
#endif
    od
}

/* ------------------------------------------------------------------------------------- log and real time */

proctype Coordinator() {
end:
    do
    :: d_step {
        logged_at == NEVER && (bad == HOLDER || HAS(withdrawn, HOLDER)) ->
        logged_at = now;
        note_withdrawal()
    }
    :: d_step { suspended_at == NEVER -> suspended_at = now }
    od
}

proctype Clock() {
end:
    do
    :: d_step {
        now < LAST ->
        now++;
        if
        :: !held -> chip_now = now
        :: else
        fi
    }
    :: d_step { held && chip_now < now -> chip_now++ }
    od
}

/* ---------------------------------------------------------------------------------------------- the chip */

#ifdef BUG_OLD_LEASE_TAKEN_AGAIN
#define IS_TAKEN(n) (EXISTS(n) && (n) != lease)
#else
#define IS_TAKEN(n) (EXISTS(n) && (n) > lease)
#endif
#ifdef BUG_CHIP_WORKS_PAST_LEASE_END
#define IS_RUNNING (lease > 0)
#else
#define IS_RUNNING (lease > 0 && chip_now <= lease)
#endif

inline take_lease(n) {
    lease = n;
    left = UNITS;
    j = 1;
    do
#ifndef BUG_OLD_LEASE_TAKEN_AGAIN
    :: j <= SEATS -> shares[j] = (shares[j] >> (n + 1)) << (n + 1); j++
#endif
    :: else -> break
    od;
    j = 0
}

inline do_work() {
#ifndef BUG_CHIP_IGNORES_ALLOWANCE
    left--;
#endif
    if
    :: work < UNITS * (LAST + 2) -> work++
    :: else
    fi;
#if CLAIMED(TIME)
    assert(TIME_HOLDS);
#endif
#if CLAIMED(COUNT)
    assert(COUNT_HOLDS);
#endif
#if CLAIMED(SUSPENDED)
    assert(SUSPENDED_HOLDS);
#endif
#ifdef REACH_LEASE_RENEWED
    assert(lease < 3);
#endif
#ifdef REACH_WORK_IN_THE_LAST_TICK_ALLOWED
    assert(held || withdrawn_at == NEVER || now <= withdrawn_at); /* S4 is tight */
#endif
#ifdef REACH_WORK_LATER_WITH_THE_CLOCK_HELD
    assert(withdrawn_at == NEVER || now <= withdrawn_at + 1); /* why a lease needs an allowance */
#endif
#ifdef REACH_WORK_AFTER_A_SUSPENSION_LAPSED
    assert(held || suspended_at == NEVER || now < suspended_at + SUSPENSION);
#endif
    skip
}

proctype Chip() {
end:
    do
    :: d_step { IS_TAKEN(1) -> take_lease(1) }
    :: d_step { IS_TAKEN(2) -> take_lease(2) }
    :: d_step { IS_TAKEN(3) -> take_lease(3) }
    :: d_step { IS_TAKEN(4) -> take_lease(4) }
    :: d_step { IS_TAKEN(5) -> take_lease(5) }
    :: d_step { IS_RUNNING && left > 0 -> do_work() }
    /* Losing power loses nothing: all that counts is durable. */
#ifdef BUG_ALLOWANCE_REFILLED_AT_RESTART
    :: d_step { lease > 0 && left < UNITS -> left = UNITS }
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
        if
        :: held = false
        :: held = true
        fi;
        run Seat(1); run Seat(2); run Seat(3);
        run Coordinator(); run Clock(); run Chip()
    }
}
