import AnomalyScoring
import Archive
import Capture
import Crypto
import Foundation
import Imaging
import InspectionRuntime
import TensorKernels

/// Everything about a station that can be checked without touching the line: its file, its pipeline, its model.
struct StationPlan: Sendable {
    let configuration: StationConfiguration
    let configurationSHA256: String

    /// The gst-launch text, wherever it stood.
    let pipeline: String
    let detector: AnomalyDetector
    let modelSHA256: String

    init(file: String) throws(StationError) {
        do throws(ConfigurationError) {
            let text = try StationConfiguration.text(of: file)
            configuration = try StationConfiguration(parsing: text, file: file)
            configurationSHA256 = SHA256.hash(data: Data(text.utf8)).map { String(format: "%02x", $0) }.joined()
        } catch {
            throw .configuration(error)
        }
        do throws(CaptureError) {
            pipeline =
                switch configuration.source.pipeline {
                case .text(let text): text
                case .file(let path): try PipelineText.load(path: path)
                }
            try PipelineSource.check(pipeline: pipeline, isLive: configuration.source.isLive)
        } catch {
            throw .pipeline(file: file, error)
        }
        let path = configuration.model
        let loaded: LoadedModel
        do throws(ModelFileError) { loaded = try ModelFile.load(path) } catch { throw .model(error) }
        do {
            detector = try AnomalyDetector(
                model: loaded.model, threads: ProcessInfo.processInfo.activeProcessorCount)
        } catch {
            throw .network(path: path, error)
        }
        do throws(SelfTestError) { try detector.runSelfTest() } catch { throw .selfTest(path: path, error) }
        modelSHA256 = loaded.sha256
    }

    /// Opens the source anew, as often as it is lost.
    func openSource() throws(CaptureError) -> PipelineSource {
        var source = PipelineSource.Configuration(isLive: configuration.source.isLive)
        source.keepsTime = configuration.source.keepsTime
        return try PipelineSource(
            pipeline: pipeline, pool: FramePool(capacity: configuration.source.framePool), configuration: source)
    }
}
