import Glibc

/// A program at work, in a process group of its own: Ctrl-C at the terminal reaches it once and by way of us.
struct ChildProcess: Sendable {
    private let identifier: pid_t

    /// - Parameters:
    ///   - output: The file that takes standard output, replaced.
    ///   - log: The file that takes standard error, appended to.
    init(_ program: String, _ arguments: [String], output: String, log: String) throws(TrialError) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        // Dispatch's threads block signals, and a child inherits that.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var defaults = none
        for number in [SIGINT, SIGTERM] { sigaddset(&defaults, number) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)

        var words = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var identifier = pid_t()
        let status = posix_spawn(&identifier, program, &actions, &attributes, &words, environ)
        guard status == 0 else { throw .notStarted(program: program, reason: String(cString: strerror(status))) }
        self.identifier = identifier
    }

    /// Asks the program to end; ours then leave a checkpoint.
    func interrupt() { kill(identifier, SIGINT) }

    /// Waits for the end; until `collect` the identifier stays this process's.
    func waitForEnd() {
        var information = siginfo_t()
        while waitid(P_PID, id_t(identifier), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
    }

    /// Waits for the end and gives the identifier back.
    ///
    /// - Returns: The exit status, 128 + the number of the signal where one ended it, and what the process used.
    func collect() -> (status: Int32, usage: Usage) {
        var status: Int32 = 0
        var usage = rusage()
        while wait4(identifier, &status, 0, &usage) < 0, errno == EINTR {}
        let signal = status & 0x7f
        return (
            signal == 0 ? (status >> 8) & 0xff : 128 + signal,
            Usage(
                processorSeconds: Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime),
                peakMemoryBytes: usage.ru_maxrss * 1024)
        )
    }

    struct Usage: Hashable, Sendable {
        var processorSeconds: Double
        var peakMemoryBytes: Int
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
}
