import CGStreamer
import Dispatch
import Imaging
import Locking

/// A parsed pipeline, and the only place where it changes its state.
///
/// `gst_element_set_state` runs in the drivers and can hang with them. So it runs on a queue of its own and the caller
/// waits for a limited time; a pipeline that never comes back stays behind with its queue, instead of taking the caller
/// along.
final class Pipeline: @unchecked Sendable {
    // Sendable because the pointers never change and GStreamer's objects lock themselves.
    let element: UnsafeMutablePointer<GstElement>
    private let bus: UnsafeMutablePointer<GstBus>
    private let stateChanges = DispatchQueue(label: "beltwatch.pipeline-state")

    /// Parses a gst-launch text of at least two elements and makes it run on CLOCK_MONOTONIC.
    ///
    /// - Parameter shownText: What the user wrote, for the error messages.
    init(parsing text: String, shownText: String) throws(CaptureError) {
        // On one line, so that a mark under it points to the right place.
        element = try Self.parse(text, shownText: String(shownText.map { $0.isNewline ? " " : $0 }))
        bus = gst_element_get_bus(element)
        // The system clock counts CLOCK_MONOTONIC unless someone in the process told it otherwise; other elements
        // (network clients, sound cards) would offer clocks of their own.
        let clock = gst_system_clock_obtain()
        gst_util_set_object_arg(
            clock.map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: GObject.self) },
            "clock-type", "monotonic")
        element.withMemoryRebound(to: GstPipeline.self, capacity: 1) { gst_pipeline_use_clock($0, clock) }
        gst_object_unref(clock)
    }

    deinit {
        gst_object_unref(bus)
        gst_object_unref(element)
    }

    private static func parse(
        _ text: String, shownText: String
    ) throws(CaptureError) -> UnsafeMutablePointer<GstElement> {
        try GStreamerLibrary.start()
        if shownText.allSatisfy(\.isWhitespace) {
            throw .pipelineDoesNotParse(text: shownText, message: "it is empty", offset: nil)
        }
        let context = gst_parse_context_new()
        defer { gst_parse_context_free(context) }
        var error: UnsafeMutablePointer<GError>?
        let parsed = gst_parse_launch_full(text, context, GST_PARSE_FLAG_FATAL_ERRORS, &error)
        if let parsed, error == nil {
            gst_object_ref_sink(parsed)
            return parsed
        }
        if let parsed { gst_object_unref(gst_object_ref_sink(parsed)) }
        let code = error.map { GstParseError(rawValue: GstParseError.RawValue($0.pointee.code)) }
        var message = GStreamerLibrary.takeMessage(of: error)
        // The list also names elements that exist but got a wrong property.
        if code == GST_PARSE_ERROR_NO_SUCH_ELEMENT {
            throw .missingElements(missingElements(in: context), text: shownText)
        }
        if code == GST_PARSE_ERROR_LINK, message.contains(" to videoconvert") {
            message += "; the frames are taken after the last element of the text, which has to give raw video"
        }
        throw .pipelineDoesNotParse(text: shownText, message: message, offset: offset(of: message, in: shownText))
    }

    private static func missingElements(in context: OpaquePointer?) -> [String] {
        guard let names = gst_parse_context_get_missing_elements(context) else { return [] }
        defer { g_strfreev(names) }
        var missing: [String] = []
        var next = names
        while let name = next.pointee {
            missing.append(String(cString: name))
            next += 1
        }
        return missing
    }

    /// Where the first word that GStreamer's message puts in quotes stands in the text.
    private static func offset(of message: String, in text: String) -> Int? {
        let quoted = message.split(separator: "\"", omittingEmptySubsequences: false)
        guard quoted.count >= 3, !quoted[1].isEmpty, let range = text.firstRange(of: quoted[1]) else { return nil }
        return text.distance(from: text.startIndex, to: range.lowerBound)
    }

    // MARK: States

    enum State: String {
        case playing = "PLAYING"
        /// Every device and file is closed.
        case stopped = "NULL"
    }

    /// Asks for a state and waits until the elements have answered.
    ///
    /// A pipeline may still be on its way afterwards (`isChangingState`).
    func change(to state: State, within limit: Duration) throws(CaptureError) {
        let answer = Monitor<GstStateChangeReturn?>(nil)
        // The queue keeps the element alive and not this object: whoever drops the pipeline after the answer can rely
        // on that being the end of it. Touched by one side at a time, as the answer comes last.
        nonisolated(unsafe) let element = self.element
        gst_object_ref(element)
        stateChanges.async {
            let result = gst_element_set_state(element, state == .playing ? GST_STATE_PLAYING : GST_STATE_NULL)
            gst_object_unref(element)
            answer.withLock { $0 = result }
        }
        guard let result = answer.wait(atMost: limit, for: { $0 }) else {
            throw .stateChangeTimedOut(state: state.rawValue, limit: limit)
        }
        if result == GST_STATE_CHANGE_FAILURE {
            throw takeError()
                ?? .elementFailed(element: name(of: element), reason: "it refused to start", detail: nil)
        }
    }

    /// Whether elements are still waiting for something, usually for the first frame.
    var isChangingState: Bool { gst_element_get_state(element, nil, nil, 0) == GST_STATE_CHANGE_ASYNC }

    // MARK: Messages

    /// The first error that the bus holds, or nil; all other messages are thrown away.
    func takeError() -> CaptureError? { takeMessage(GST_MESSAGE_ERROR, atMost: .zero)?.error }

    /// Waits for an error (thrown) or the end of the stream.
    ///
    /// - Returns: Whether the end came within `limit`.
    func waitForEnd(atMost limit: Duration) throws(CaptureError) -> Bool {
        let wanted = GstMessageType(GST_MESSAGE_ERROR.rawValue | GST_MESSAGE_EOS.rawValue)
        guard let message = takeMessage(wanted, atMost: limit) else { return false }
        if let error = message.error { throw error }
        return true
    }

    /// Waits for an error; returns nil when there was none.
    func waitForError(atMost limit: Duration) -> CaptureError? { takeMessage(GST_MESSAGE_ERROR, atMost: limit)?.error }

    private func takeMessage(_ types: GstMessageType, atMost limit: Duration) -> (error: CaptureError?, Void)? {
        let nanoseconds = GstClockTime(max(0, limit.nanoseconds))
        guard let message = gst_bus_timed_pop_filtered(bus, nanoseconds, types) else { return nil }
        defer { gst_message_unref(message) }
        guard message.pointee.type == GST_MESSAGE_ERROR else { return (nil, ()) }

        var error: UnsafeMutablePointer<GError>?
        var debug: UnsafeMutablePointer<CChar>?
        gst_message_parse_error(message, &error, &debug)
        let reason = GStreamerLibrary.takeMessage(of: error)
        // "gstfilesrc.c(532): gst_file_src_start (): /GstPipeline:pipeline0/GstFileSrc:filesrc0:\nNo such file": the
        // last lines say what the reason leaves open.
        let detail = GStreamerLibrary.take(debug).split(separator: "\n").dropFirst().joined(separator: "; ")
        return (
            .elementFailed(
                element: message.pointee.src.map { GStreamerLibrary.take(gst_object_get_name($0)) } ?? "(unknown)",
                reason: reason, detail: detail.isEmpty ? nil : detail), ()
        )
    }

    // MARK: Questions

    private func name(of element: UnsafeMutablePointer<GstElement>) -> String {
        element.withMemoryRebound(to: GstObject.self, capacity: 1) { GStreamerLibrary.take(gst_object_get_name($0)) }
    }

    /// The element with this name, with a reference that the caller gives back.
    func retainedElement(named name: String) -> UnsafeMutablePointer<GstElement>? {
        element.withMemoryRebound(to: GstBin.self, capacity: 1) { gst_bin_get_by_name($0, name) }
    }

    /// Sets a path as the `location` of the element with this name, whatever characters it contains.
    func setLocation(ofElementNamed name: String, to path: String) {
        guard let element = retainedElement(named: name) else { preconditionFailure("our pipelines name \(name)") }
        // Fundamental type 16 of GObject: G_TYPE_STRING is a macro that Swift does not see.
        var value = GValue()
        g_value_init(&value, 16 << 2)
        g_value_set_string(&value, path)
        element.withMemoryRebound(to: GObject.self, capacity: 1) { g_object_set_property($0, "location", &value) }
        g_value_unset(&value)
        gst_object_unref(element)
    }

    /// How long the stream is, where a container states it.
    ///
    /// Only demuxers are believed: a parser of a bare elementary stream estimates from the bit rate.
    var statedDuration: Duration? {
        var duration: gint64 = -1
        guard containsDemuxer, gst_element_query_duration(element, GST_FORMAT_TIME, &duration) != 0, duration > 0 else {
            return nil
        }
        return .nanoseconds(Int64(duration))
    }

    private var containsDemuxer: Bool { name(ofElementWhoseKindIs: { $0.contains("Demuxer") }) != nil }

    /// The name of an element that reads a file, if the pipeline has one from the beginning.
    var fileSource: String? { name(ofElementWhoseKindIs: { $0.contains("Source") && $0.contains("File") }) }

    /// The name of the first element whose class (`Source/File`, `Codec/Demuxer`) is one that is looked for.
    private func name(ofElementWhoseKindIs isWanted: (String) -> Bool) -> String? {
        let found = element.withMemoryRebound(to: GstBin.self, capacity: 1) {
            gst_bin_iterate_recurse($0)
        }
        defer { gst_iterator_free(found) }
        var result: String?
        var value = GValue()
        while gst_iterator_next(found, &value) == GST_ITERATOR_OK {
            if let object = g_value_get_object(&value) {
                let element = object.assumingMemoryBound(to: GstElement.self)
                let kind = gst_element_get_metadata(element, GST_ELEMENT_METADATA_KLASS)
                if result == nil, let kind, isWanted(String(cString: kind)) { result = name(of: element) }
            }
            g_value_reset(&value)
        }
        g_value_unset(&value)
        return result
    }
}

/// `g_object_set` for C's want of variadic functions in Swift: the value is parsed like in a gst-launch text.
func setProperty(_ name: String, of element: UnsafeMutablePointer<GstElement>, to value: String) {
    element.withMemoryRebound(to: GObject.self, capacity: 1) { gst_util_set_object_arg($0, name, value) }
}
