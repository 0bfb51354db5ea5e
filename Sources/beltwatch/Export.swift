import AnomalyScoring
import Archive
import ArgumentParser
import Foundation

/// `beltwatch export`: a model for PyTorch.
struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a model as safetensors files with the names that PyTorch code of other projects has.",
        discussion: """
            Examples:

              beltwatch export parts.safetensors --format puad --out parts-puad/
              beltwatch export parts.safetensors --format anomalib --out parts-anomalib/
              beltwatch export parts.safetensors --format safetensors --out parts-all.safetensors

            The weights are written in single precision. In Python, safetensors.torch.load_file gives each file as a \
            state_dict:

              nelson1425   teacher_final, student_final, autoencoder_final: 0.weight, 0.bias, 3.weight ...
                           get_pdn_small(384).load_state_dict(load_file("teacher_final.safetensors"))
              puad         teacher, student, autoencoder: conv1.weight ..., encoder.enconv1.weight ...
                           PDN_S(384).load_state_dict(load_file("teacher.safetensors"))
              anomalib     model: model.teacher.conv1.weight ..., model.mean_std.mean, model.quantiles.qa_st ...
                           EfficientAd().load_state_dict(load_file("model.safetensors"), strict=False)
              safetensors  one file: teacher.conv1.weight ..., and the rest as in the model file

            normalization.safetensors has the teacher's channel statistics and the map quantiles by the names of the \
            project's variables. beltwatch.safetensors has what the project has no place for, LA-EAD's context extractor \
            among it; with it, beltwatch import gives the same model back. A DFSC model has another autoencoder than the \
            projects and is exported as safetensors only.
            """)

    @Argument(help: ArgumentHelp("The model file.", valueName: "model"))
    var model: String

    @Option(help: ArgumentHelp("Whose names: \(CheckpointFormat.allValueStrings.joined(separator: ", "))."))
    var format: CheckpointFormat

    @Option(help: ArgumentHelp("The folder to write, or for safetensors the file.", valueName: "folder-or-file"))
    var out: String

    @Flag(help: "Print the result as JSON on standard output.")
    var json = false

    func validate() throws {
        guard format != .safetensors || out.hasSuffix(".safetensors") else {
            throw ValidationError("--out has to end in .safetensors for this format, and is '\(out)'")
        }
    }

    func run() throws {
        try reportingErrors {
            let loaded = try ModelFile.load(model)
            let files = try write(loaded.model)
            if loaded.model.extractor != nil, format != .safetensors, let remainder = files.last {
                note("the context extractor has no place in \(format.rawValue); it is in \(remainder)")
            }
            if json {
                let summary = ExportSummary(
                    model: model, modelSHA256: loaded.sha256, format: format, size: loaded.model.size.rawValue,
                    files: files)
                print(String(decoding: try JSONEncoder.sorted.encode(summary), as: UTF8.self))
            } else {
                for file in files { print("wrote \(file)") }
            }
        }
    }

    private func write(_ model: AnomalyModel) throws -> [String] {
        do { return try ModelExport.write(model, as: format, to: out) } catch {
            // A disk that fails has its own exit status, whoever writes.
            if case .model(let error) = error { throw error }
            throw error
        }
    }
}

/// What `beltwatch export --json` prints.
private struct ExportSummary: Encodable {
    let model: String
    let modelSHA256: String
    let format: CheckpointFormat
    let size: String
    let files: [String]
}

extension CheckpointFormat: ExpressibleByArgument {}
