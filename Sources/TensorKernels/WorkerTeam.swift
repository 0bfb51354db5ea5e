import CKernels
import Glibc
import Locking
import Synchronization

/// Threads that stay, so that the many short phases of a frame do not each pay for waking one up.
///
/// The phases of a frame take a few milliseconds each. Threads that sleep between them cost a wake-up each time, which in
/// a virtual machine is some hundred microseconds, so those of a team look out for the next phase for a moment before they
/// sleep. The moment is short enough that a neighbour on the same cores does not notice it.
final class WorkerTeam: Sendable {
    /// Longer than it takes to get from phase to phase, and much shorter than the pause between frames.
    private static let lookout = Duration.microseconds(100)

    private static let teams = Lock<[Int: WorkerTeam]>([:])

    /// The team of this process with so many members, the caller included; its threads live as long as the process.
    static func of(_ members: Int) -> WorkerTeam {
        teams.withLock { teams in
            if let team = teams[members] { return team }
            // With more threads than processors, the one that is waited for may need the processor.
            let team = WorkerTeam(
                members: members, lookout: members <= beltwatch_processors() ? lookout : .zero)
            teams[members] = team
            return team
        }
    }

    private let members: Int
    private let lookout: Duration

    private let isTaken = Atomic(false)

    /// Number of the job, counted from 1; stored after the job itself, so who sees the one sees the other.
    private let round = Atomic(0)
    private let stillAtWork = Atomic(0)

    // Written by the member that took the team, before the round begins; read by the others while it lasts.
    private nonisolated(unsafe) var job: (_ member: Int) -> Void = { _ in }

    /// Where members sleep until the next round, and the caller until the end of one.
    private let beginning = Monitor(())
    private let end = Monitor(())

    /// - Parameter lookout: How long a thread looks out before it sleeps.
    init(members: Int, lookout: Duration) {
        self.members = members
        self.lookout = lookout
        for member in 1..<members { start(member) }
    }

    /// Runs `job` once for every member, `0..<members`, on threads of their own, and returns when all are done.
    ///
    /// - Returns: Whether it ran; false while somebody else has the team.
    func run(_ job: (_ member: Int) -> Void) -> Bool {
        guard isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            return false
        }
        withoutActuallyEscaping(job) { job in
            self.job = job
            stillAtWork.store(members - 1, ordering: .relaxed)
            beginning.withLock { _ in _ = round.add(1, ordering: .releasing) }
            job(0)
            wait(at: end) { stillAtWork.load(ordering: .acquiring) == 0 }
            self.job = { _ in }
        }
        isTaken.store(false, ordering: .releasing)
        return true
    }

    /// The life of a thread.
    private func serve(_ member: Int) {
        var next = 1
        while true {
            wait(at: beginning) { round.load(ordering: .acquiring) >= next }
            next += 1
            job(member)
            if stillAtWork.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { end.withLock { _ in } }
        }
    }

    private func wait(at monitor: Monitor<Void>, until isOver: () -> Bool) {
        let clock = ContinuousClock()
        let deadline = clock.now + lookout
        repeat {
            // Fewer looks at the clock than at the condition.
            for _ in 0..<16 {
                if isOver() { return }
                beltwatch_relax()
            }
        } while clock.now < deadline
        while monitor.wait(atMost: .seconds(3600), for: { _ in isOver() ? true : nil }) == nil {}
    }

    private func start(_ member: Int) {
        let work = Unmanaged.passRetained(Member(team: self, number: member))
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, Member.main, work.toOpaque())
        precondition(status == 0, "no thread for the engine: \(String(cString: strerror(status)))")
        pthread_detach(thread)
    }

    private final class Member {
        let team: WorkerTeam
        let number: Int

        init(team: WorkerTeam, number: Int) {
            self.team = team
            self.number = number
        }

        static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
            guard let argument else { return nil }
            // Signals are for those who wait for them.
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, nil)
            let member = Unmanaged<Member>.fromOpaque(argument).takeRetainedValue()
            beltwatch_name_this_thread("engine-\(member.number)")
            member.team.serve(member.number)
            return nil
        }
    }
}
