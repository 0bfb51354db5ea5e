import CGStreamer
import Glibc
import Imaging

/// The one place where the GStreamer library is started.
enum GStreamerLibrary {
    private static let failure: String? = {
        var error: UnsafeMutablePointer<GError>?
        guard gst_init_check(nil, nil, &error) == 0 else { return nil }
        return takeMessage(of: error)
    }()

    /// Starts GStreamer on the first call; every later call only repeats the answer.
    static func start() throws(CaptureError) {
        if let failure { throw .libraryUnavailable(reason: failure) }
    }

    /// Gives back everything the library holds, for the leak tracer, which reports here what is still alive.
    ///
    /// - Precondition: No pipeline exists, and none is made afterwards in this process.
    static func shutDown() { gst_deinit() }

    /// The text of an error, which is freed.
    static func takeMessage(of error: UnsafeMutablePointer<GError>?) -> String {
        guard let error else { return "no reason given" }
        defer { g_error_free(error) }
        return String(cString: error.pointee.message)
    }

    /// A string that GStreamer gave us to keep, copied and freed.
    static func take(_ string: UnsafeMutablePointer<CChar>?) -> String {
        guard let string else { return "" }
        defer { g_free(string) }
        return String(cString: string)
    }
}

extension MonotonicInstant {
    /// This moment, on the clock that our pipelines are made to run on.
    static var now: MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}
