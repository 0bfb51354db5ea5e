import CKernels
import Glibc
import Locking
import Synchronization

/// Threads that stay, so that the many short phases of a frame do not each pay for starting or waking them.
///
/// The phases of a frame take a few milliseconds each, and a sleeping thread takes up to some hundred microseconds to
/// wake, most of all in a virtual machine. So the threads look out for the next phase for a moment before they sleep.
///
/// Nobody waits for a thread that is late: a round is open to all while its caller works on it, and ends with those who
/// have come. So a processor that somebody else holds delays what its thread has begun, and no more.
final class WorkerTeam: Sendable {
    /// That of this process; its threads live as long.
    static let shared = WorkerTeam(processors: Int(beltwatch_processors()), lookout: .microseconds(100))

    private let processors: Int

    /// Longer than it takes to get from phase to phase, and much shorter than the pause between frames.
    private let lookout: Duration

    private let isTaken = Atomic(false)

    /// The round of now.
    private let round = Atomic(Round())

    // Written by who has taken the team, before the round opens; read by members who have entered it.
    private nonisolated(unsafe) var job: (_ member: Int) -> Void = { _ in }
    private nonisolated(unsafe) var workers = 0
    private nonisolated(unsafe) var callersProcessor: Int32 = -1

    // Only touched by who has taken the team.
    private nonisolated(unsafe) var members = 1

    /// Where members sleep until the next round, and the caller until the last of them has left.
    private let opened = Monitor(())
    private let left = Monitor(())

    /// - Parameters:
    ///   - processors: So many threads look out at most: with more of them, one may hold the processor that the one
    ///     needs that it waits for.
    ///   - lookout: How long a thread looks out before it sleeps.
    init(processors: Int, lookout: Duration) {
        self.processors = processors
        self.lookout = lookout
    }

    /// Which round it is, whether it is open, and how many members are in it, as one number.
    private struct Round: AtomicRepresentable, Equatable {
        typealias AtomicRepresentation = Int.AtomicRepresentation

        private static let open = 1 << 15
        private static let one = 1 << 16

        private var bits = 0

        var number: Int { bits / Self.one }
        var isOpen: Bool { bits & Self.open != 0 }
        var isEmpty: Bool { bits & (Self.open - 1) == 0 }

        var next: Round { Round(bits: (number + 1) * Self.one + Self.open) }
        var withOneMore: Round { Round(bits: bits + 1) }
        var withOneLess: Round { Round(bits: bits - 1) }
        var closed: Round { Round(bits: bits & ~Self.open) }

        init() {}

        private init(bits: Int) { self.bits = bits }

        static func encodeAtomicRepresentation(_ value: consuming Round) -> AtomicRepresentation {
            Int.encodeAtomicRepresentation(value.bits)
        }

        static func decodeAtomicRepresentation(_ storage: consuming AtomicRepresentation) -> Round {
            Round(bits: Int.decodeAtomicRepresentation(storage))
        }
    }

    /// Runs `job` on this thread as worker 0, and on as many others as come in time as workers 1, 2, … below `workers`.
    ///
    /// `job` must not return on any of them while work is left that nobody has begun.
    ///
    /// - Returns: Whether it ran; false while somebody else has the team.
    func run(workers: Int, _ job: (_ worker: Int) -> Void) -> Bool {
        guard isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            return false
        }
        defer { isTaken.store(false, ordering: .releasing) }
        // Whoever cannot be started is not waited for.
        while members < workers, start(members) { members += 1 }
        withoutActuallyEscaping(job) { job in
            self.job = job
            self.workers = workers
            callersProcessor = workers <= processors ? beltwatch_current_processor() : -1
            let opening = round.load(ordering: .relaxed).next
            opened.withLock { _ in round.store(opening, ordering: .releasing) }
            job(0)
            if !change({ $0.closed }).isEmpty {
                wait(at: left, looksOut: workers <= processors) { round.load(ordering: .acquiring).isEmpty }
            }
            self.job = { _ in }
        }
        return true
    }

    /// The life of a thread.
    private func serve(_ member: Int) {
        var last = 0
        while true {
            wait(at: opened, looksOut: member < processors) { round.load(ordering: .acquiring).number != last }
            let current = round.load(ordering: .acquiring)
            last = current.number
            guard enter(current) else { continue }
            // Linux may wake both on one processor and leave them there for a whole frame, with another one idle.
            beltwatch_leave_processor(callersProcessor)
            perform(member)
            let after = change { $0.withOneLess }
            if after.isEmpty, !after.isOpen { left.withLock { _ in } }
        }
    }

    private func enter(_ current: Round) -> Bool {
        var current = current
        while current.isOpen {
            let (exchanged, original) = round.compareExchange(
                expected: current, desired: current.withOneMore, ordering: .acquiringAndReleasing)
            if exchanged { return true }
            guard original.number == current.number else { return false }
            current = original
        }
        return false
    }

    /// Apart from `serve`, so that nothing holds the job when the member has left: `run` lends it for the round only.
    @inline(never)
    private func perform(_ member: Int) {
        if member < workers { job(member) }
    }

    /// - Returns: What it is now.
    private func change(_ change: (Round) -> Round) -> Round {
        var current = round.load(ordering: .relaxed)
        while true {
            let (exchanged, original) = round.compareExchange(
                expected: current, desired: change(current), ordering: .acquiringAndReleasing)
            if exchanged { return change(current) }
            current = original
        }
    }

    private func wait(at monitor: Monitor<Void>, looksOut: Bool, until isOver: () -> Bool) {
        let clock = ContinuousClock()
        let end = clock.now + (looksOut ? lookout : .zero)
        repeat {
            // Fewer looks at the clock than at the condition.
            for _ in 0..<16 {
                if isOver() { return }
                beltwatch_relax()
            }
        } while clock.now < end
        while monitor.wait(atMost: .seconds(3600), for: { _ in isOver() ? true : nil }) == nil {}
    }

    // MARK: - Threads

    private final class Member {
        let team: WorkerTeam
        let number: Int

        init(team: WorkerTeam, number: Int) {
            self.team = team
            self.number = number
        }
    }

    /// - Returns: Whether the system has a thread left.
    private func start(_ number: Int) -> Bool {
        let member = Unmanaged.passRetained(Member(team: self, number: number))
        // Signals are for those who wait for them, but for the faults of the thread itself.
        var signals = sigset_t()
        var before = sigset_t()
        sigfillset(&signals)
        for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGPROF] { sigdelset(&signals, fault) }
        pthread_sigmask(SIG_SETMASK, &signals, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let member = Unmanaged<Member>.fromOpaque(argument).takeRetainedValue()
                beltwatch_name_this_thread("engine-\(member.number)")
                member.team.serve(member.number)
                return nil
            }, member.toOpaque())
        guard status == 0 else {
            member.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}
