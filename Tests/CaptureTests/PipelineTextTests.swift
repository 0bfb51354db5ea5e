import Foundation
import Testing

@testable import Capture

@Suite struct PipelineTextTests {
    @Test func commentsAreWholeLines() {
        let text = """
            # A camera.
            rtspsrc location=rtsp://host/a#b

              # its decoder
              ! decodebin
            """
        #expect(PipelineText.withoutComments(text) == "rtspsrc location=rtsp://host/a#b ! decodebin")
    }

    @Test func theEndIsAppendedUnlessThereIsOne() {
        #expect(
            PipelineText.endingInSink("videotestsrc ! ")
                == "videotestsrc ! videoconvert dither=none ! video/x-raw,format=RGB ! appsink name=beltwatch")
        for own in ["name=beltwatch", "name = \"beltwatch\"", "name=beltwatch sync=true"] {
            let text = "videotestsrc ! appsink \(own)"
            #expect(PipelineText.endingInSink(text) == text)
        }
        #expect(PipelineText.endingInSink("videotestsrc name=beltwatch2") != "videotestsrc name=beltwatch2")
    }

    @Test func framesAreTakenFromAnOwnSinkWhereThereIsOne() throws {
        let frames = try PipelineSource.offline(
            "videotestsrc num-buffers=4 ! tee name=t ! queue ! videoconvert ! appsink name=beltwatch  t. ! queue ! fakesink"
        ).pullAll()
        #expect(frames.count == 4)
    }

    @Test func onlyAnAppSinkCanBeTheSink() {
        #expect {
            try PipelineSource.check(pipeline: "videotestsrc ! fakesink name=beltwatch")
        } throws: { error in
            guard case .sinkIsNotAnAppSink(found: "GstFakeSink", _) = error as? CaptureError else { return false }
            return true
        }
    }

    @Test func aTextThatDoesNotParseIsShownWithTheFault() throws {
        let error = #expect(throws: CaptureError.self) {
            try PipelineSource.check(pipeline: "videotestsrc\npattern=purple")
        }
        #expect(
            "\(try #require(error))" == """
                the pipeline does not parse: could not set property "pattern" in element "videotestsrc" to "purple"
                  videotestsrc pattern=purple
                               ^
                """)
        for text in ["", "videotestsrc ! ! fakesink", "videotestsrc ! video/x-raw,width=abc(", "fakesink"] {
            #expect(throws: CaptureError.self, "\(text)") { try PipelineSource.check(pipeline: text) }
        }
    }

    @Test func missingElementsAreNamedWithTheirPackage() {
        #expect(throws: CaptureError.missingElements(["warpsrc", "phasedec"], text: "warpsrc ! phasedec")) {
            try PipelineSource.check(pipeline: "warpsrc ! phasedec")
        }
        let description = CaptureError.missingElements(["aravissrc", "warpsrc"], text: "aravissrc ! warpsrc")
            .description
        #expect(description.contains("aravissrc (Debian package libaravis-0.8-0), warpsrc\n"))
        #expect(debianPackage(ofElement: "rtph264depay") == "gstreamer1.0-plugins-good")
        #expect(debianPackage(ofElement: "avdec_h264") == "gstreamer1.0-libav")
    }

    @Test func theFilesThatComeWithBeltwatchAreValid() throws {
        let folder = repository.appending(path: "Pipelines")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(
            names == [
                "image-folder.pipeline", "recording.pipeline", "rtsp.pipeline", "test-pattern.pipeline",
                "v4l2.pipeline",
            ])
        for name in names {
            let text = try PipelineText.load(path: folder.appending(path: name).path)
            do {
                try PipelineSource.check(pipeline: text)
            } catch .missingElements(let elements, _) {
                print("skipped: \(name) needs \(elements), not installed here")
            }
        }
    }

    @Test func aFileWithoutAPipelineIsAnError() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "empty.pipeline").path
            try "# nothing yet\n\n".write(toFile: path, atomically: true, encoding: .utf8)
            #expect(throws: CaptureError.emptyPipeline(path: path)) { try PipelineText.load(path: path) }
            #expect {
                try PipelineText.load(path: path + "x")
            } throws: { error in
                guard case .cannotOpen(path + "x", reason: _) = error as? CaptureError else { return false }
                return true
            }
        }
    }
}
