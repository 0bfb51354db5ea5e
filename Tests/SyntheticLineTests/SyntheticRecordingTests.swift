import Foundation
import Testing

@testable import SyntheticLine

@Suite struct SyntheticRecordingTests {
    private let recording: SyntheticRecording

    init() {
        var configuration = SyntheticRecording.Configuration()
        configuration.seed = 3
        configuration.goodCount = 5
        configuration.logicalCount = 5
        configuration.structuralCount = 4
        recording = SyntheticRecording(configuration)
    }

    @Test func triggersMeetEveryPartOnce() {
        let manifest = recording.manifest
        let triggered = stride(from: manifest.trigger.offset, to: manifest.frameCount, by: manifest.trigger.every)
        #expect(Array(triggered) == manifest.parts.map(\.triggerFrame))
        #expect(manifest.parts.map(\.part) == Array(0..<14))
    }

    @Test func labelsAreThoseAskedFor() {
        let parts = recording.manifest.parts
        #expect(parts.count { $0.label == .good } == 5)
        #expect(parts.count { $0.label == .logical } == 5)
        #expect(parts.count { $0.label == .structural } == 4)
        #expect(parts.filter { $0.label == .structural }.map(\.defect).count == 4)
        for part in parts {
            #expect((part.defect == nil) == (part.label == .good))
            #expect(part.regions.isEmpty == (part.label == .good))
        }
    }

    @Test func theTrayInATriggerFrameIsWhatTheManifestSays() throws {
        for part in recording.manifest.parts {
            let scene = recording.scene(at: part.triggerFrame)
            let middle = try #require(
                scene.trays.min { abs($0.pose.origin.x - 160) < abs($1.pose.origin.x - 160) })
            // Within the jitter of the data set's pictures.
            #expect(abs(middle.pose.origin.x - 160) <= 11 && abs(middle.pose.origin.y - 160) <= 13)
            let isBroken = !KitRule.violations(of: middle.specimen.kit).isEmpty
            #expect(isBroken == (part.label == .logical), "part \(part.part)")
            #expect(middle.specimen.damage?.kind == (part.label == .structural ? part.defect : nil))
        }
    }

    @Test func noOtherTrayIsInViewInATriggerFrame() throws {
        for part in recording.manifest.parts {
            let labelled = recording.triggerFrame(ofPart: part.part)
            #expect(labelled.image == recording.frame(part.triggerFrame))
            var alone = recording.scene(at: part.triggerFrame)
            alone.trays.removeAll { abs($0.pose.origin.x - 160) > 100 }
            #expect(alone.trays.count == 1)
            #expect(SceneRenderer.photograph(alone) == labelled.image, "part \(part.part)")
            #expect(labelled.masks.map(\.definition.name) == part.regions)
            for mask in labelled.masks { #expect(mask.pixels.contains { $0 != 0 }, "part \(part.part)") }
        }
    }

    @Test func beltAndTraysMoveTogetherByTheSameStep() {
        let step: Float = 336 / 8
        for number in 20..<40 {
            let before = recording.scene(at: number)
            let after = recording.scene(at: number + 1)
            #expect(after.beltTravel - before.beltTravel == step)
            for tray in after.trays {
                let earlier = before.trays.first { $0.specimen == tray.specimen }
                if let earlier { #expect(abs(tray.pose.origin.x - earlier.pose.origin.x - step) < 1e-3) }
            }
        }
    }

    @Test func lightDriftsSlowlyAndStaysWithinTheDataSets() {
        for number in 0..<recording.manifest.frameCount - 1 {
            let light = recording.scene(at: number).light
            #expect((0.87...1.13).contains(light.gain))
            #expect(abs(recording.scene(at: number + 1).light.gain - light.gain) < 0.02)
        }
    }

    @Test func theSameSeedGivesTheSameRecording() {
        let again = SyntheticRecording(recording.configuration)
        #expect(again.manifest == recording.manifest)
        for number in [0, 17, 50] { #expect(again.frame(number) == recording.frame(number)) }
        var other = recording.configuration
        other.seed = 4
        #expect(SyntheticRecording(other).frame(17) != recording.frame(17))
    }

    @Test func theManifestSurvivesJSON() throws {
        let data = try JSONEncoder().encode(recording.manifest)
        #expect(try JSONDecoder().decode(RecordingManifest.self, from: data) == recording.manifest)
        let text = try #require(String(data: data, encoding: .utf8))
        #expect(text.contains("\"trigger_frame\":4"))
        #expect(text.contains("\"logical_anomalies\""))
    }

    @Test func framesFollowEachOtherAtTheFrameRate() {
        #expect(recording.presentationTime(ofFrame: 45) == .milliseconds(1500))
    }
}
