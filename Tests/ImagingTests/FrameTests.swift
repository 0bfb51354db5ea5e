import Imaging
import Testing

@Suite struct FrameTests {
    private let frame = Frame(width: 2, height: 3, pixels: Array(1...18))

    @Test func lendsItsRowsFromTheTop() {
        for row in 0..<3 {
            let bytes = frame.withRow(row) { span in span.indices.map { span[$0] } }
            #expect(bytes == Array(UInt8(6 * row + 1)...UInt8(6 * row + 6)), "row \(row)")
        }
    }

    @Test func copiesShareTheirPixels() {
        let copy = frame
        let addresses = [frame, copy].map { frame in
            frame.withPixels { $0.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) } }
        }
        #expect(addresses[0] == addresses[1])
    }

    @Test func passesTypedErrorsThrough() {
        let expected = ImagingError.regionOutsideFrame(
            RegionOfInterest(x: 0, y: 0, width: 1, height: 1), frameWidth: 0, frameHeight: 0)
        #expect(throws: expected) { try frame.withRow(0) { _ throws(ImagingError) in throw expected } }
    }
}

@Suite struct MonotonicInstantTests {
    @Test func differencesAndSumsAreInverse() {
        let start = MonotonicInstant(nanoseconds: 5_000_000_000)
        let end = start.advanced(by: .milliseconds(1250))
        #expect(end.nanoseconds == 6_250_000_000 && end.microseconds == 6_250_000)
        #expect(start.duration(to: end) == .milliseconds(1250))
        #expect(end.duration(to: start) == .milliseconds(-1250))
        #expect(start < end)
    }

    @Test func movingBeforeTheClocksZeroStopsThere() {
        #expect(MonotonicInstant(nanoseconds: 10).advanced(by: .seconds(-1)).nanoseconds == 0)
    }

    @Test func durationsBeyondTheClockAreClamped() {
        #expect(MonotonicInstant(nanoseconds: 10).advanced(by: .seconds(Int64.max)).nanoseconds == .max)
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(Duration.seconds(Int64.min).nanoseconds == .min)
        #expect(Duration.microseconds(-3).nanoseconds == -3000 && Duration.milliseconds(2).microseconds == 2000)
        #expect(Duration.milliseconds(1500).seconds == 1.5)
    }
}
