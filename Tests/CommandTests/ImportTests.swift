import AnomalyScoring
import Archive
import Foundation
import Testing

extension CommandTests {
    /// `beltwatch import` and `beltwatch export`.
    @Suite struct ImportTests {
        private static func model() throws -> String { "\(try Workshop.trained())/model.safetensors" }

        /// The model as the files of a project, without what the project has no place for.
        private static func networks(_ format: String, in directory: TemporaryDirectory) throws -> String {
            let folder = directory.file(format)
            try succeedingBeltwatch("export", try model(), "--format", format, "--out", folder)
            try FileManager.default.removeItem(atPath: "\(folder)/beltwatch.safetensors")
            return folder
        }

        @Test(arguments: ["nelson1425", "puad", "anomalib", "safetensors"])
        func whatWasExportedComesBackByteForByte(_ format: String) throws {
            let directory = try TemporaryDirectory()
            let export = directory.file(format == "safetensors" ? "export.safetensors" : "export")
            let exported = try succeedingBeltwatch("export", try Self.model(), "--format", format, "--out", export)
            #expect(exported.output.contains("wrote \(export)"))
            let out = directory.file("m.safetensors")
            let neighbour = try directory.write(Data("mine".utf8), to: "m.safetensors.assembly")
            let result = try succeedingBeltwatch("import", export, "--out", out)
            #expect(result.output.contains("the model that was exported, PDN-S"), "\(result.output)")
            #expect(try contents(of: out) == contents(of: try Self.model()))
            #expect(try contents(of: neighbour) == Data("mine".utf8))
        }

        @Test func networksBecomeAModelByLookingAtGoodParts() throws {
            let directory = try TemporaryDirectory()
            let folder = try Self.networks("puad", in: directory)
            let out = directory.file("m.safetensors")
            try expectRefusal(["import", folder, "--out", out], status: 65, saying: "give --good FOLDER")
            let trays = "\(try Workshop.pictures())/trays"
            let result = try succeedingBeltwatch(
                "import", folder, "--good", trays, "--precision", "f16", "--out", out, "--json")
            struct Summary: Decodable {
                let kind: String
                let format: String
                let size: String
                let files: [ImportedCheckpoint.Origin]
                let hasStatisticsOfFiles: Bool
            }
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let summary = try decoder.decode(Summary.self, from: Data(result.output.utf8))
            #expect(summary.kind == "calibrated_model" && summary.format == "puad" && summary.size == "s")
            #expect(summary.files.count == 4 && summary.hasStatisticsOfFiles)
            // The pictures and the weights are those of the training: so are all measurements.
            let (found, trained) = (try ModelFile.load(out).model, try ModelFile.load(try Self.model()).model)
            #expect(found.student == trained.student && found.teacherStatistics == trained.teacherStatistics)
            #expect(found.mapQuantiles == trained.mapQuantiles && found.featureGaussian == trained.featureGaussian)
            #expect(found.fusion == trained.fusion && found.selfTest == trained.selfTest)
            #expect(found.teacherProvenance.hasPrefix("imported (puad): autoencoder.safetensors sha256: "))
        }

        @Test func statisticsThatAreMissingAreMeasured() throws {
            let directory = try TemporaryDirectory()
            let folder = try Self.networks("nelson1425", in: directory)
            try FileManager.default.removeItem(atPath: "\(folder)/normalization.safetensors")
            let out = directory.file("m.safetensors")
            let result = try succeedingBeltwatch(
                "import", folder, "--good", "\(try Workshop.pictures())/trays", "--out", out)
            #expect(result.errors.contains("they are measured on these pictures"), "\(result.errors)")
            #expect(result.output.contains("from 3 files of nelson1425, calibrated anew"), "\(result.output)")
            let trained = try ModelFile.load(try Self.model()).model
            let found = try ModelFile.load(out).model
            // The stored teacher was rounded after its statistics were measured in training.
            for (mean, other) in zip(found.teacherStatistics.mean, trained.teacherStatistics.mean) {
                #expect(abs(mean - other) < 1e-3)
            }
        }

        @Test func aTeacherIsForTraining() throws {
            let directory = try TemporaryDirectory()
            let folder = try Self.networks("anomalib", in: directory)
            let out = directory.file("teacher.safetensors")
            let result = try succeedingBeltwatch("import", folder, "--teacher-only", "--out", out)
            #expect(result.output.contains("train with it by --teacher \(out)"), "\(result.output)")
            #expect(try TeacherFile.load(out).parameters == ModelFile.load(try Self.model()).model.teacher)
        }

        @Test func anotherAutoencoderStaysWithThisProgram() throws {
            let directory = try TemporaryDirectory()
            var model = try ModelFile.load(try Self.model()).model
            model.method = .dfsc
            model.mapOptions = model.method.mapOptions
            model.fusion.rule = model.method.fusionRule
            let path = directory.file("m.safetensors")
            try ModelFile.save(model, to: path)
            try expectRefusal(
                ["export", path, "--format", "anomalib", "--out", directory.file("export")], status: 65,
                saying: "a model of dfsc", "use --format safetensors")
            #expect(!directory.exists("export"))
            let export = directory.file("export.safetensors")
            try succeedingBeltwatch("export", path, "--format", "safetensors", "--out", export)
            let out = directory.file("o.safetensors")
            try expectRefusal(
                ["import", export, "--good", "\(try Workshop.pictures())/trays", "--out", out], status: 65,
                saying: "an export of dfsc", "leave --good out")
            try succeedingBeltwatch("import", export, "--out", out)
            #expect(try contents(of: out) == contents(of: path))
        }

        @Test func theContextExtractorIsNotLostInSilence() throws {
            let directory = try TemporaryDirectory()
            let model = directory.file("m.safetensors")
            // As few iterations as can be, since what the model is worth does not matter.
            try succeedingBeltwatch(
                "train", "--good", "\(try Workshop.pictures())/trays", "--method", "la-ead", "--precision", "f16",
                "--iterations", "1", "--out", model)
            let folder = directory.file("export")
            let export = try succeedingBeltwatch("export", model, "--format", "puad", "--out", folder)
            #expect(
                export.errors.contains(
                    "the context extractor has no place in puad; it is in \(folder)/beltwatch.safetensors"),
                "\(export.errors)")
            let out = directory.file("o.safetensors")
            try succeedingBeltwatch("import", folder, "--out", out)
            #expect(try contents(of: out) == contents(of: model))
        }

        /// The model's other networks were lost on the way, and nobody asked for a teacher.
        @Test func anExportThatLostItsNetworksIsNoTeacher() throws {
            let directory = try TemporaryDirectory()
            let folder = directory.file("puad")
            try succeedingBeltwatch("export", try Self.model(), "--format", "puad", "--out", folder)
            for name in ["student", "autoencoder"] {
                try FileManager.default.removeItem(atPath: "\(folder)/\(name).safetensors")
            }
            let out = directory.file("m.safetensors")
            try expectRefusal(
                ["import", folder, "--out", out], status: 65, saying: "no student and no autoencoder in",
                "only teacher")
            #expect(!directory.exists("m.safetensors"))
            try succeedingBeltwatch("import", folder, "--teacher-only", "--out", out)
        }

        @Test func missingPartsAreNamed() throws {
            let directory = try TemporaryDirectory()
            let folder = try Self.networks("puad", in: directory)
            let out = directory.file("m.safetensors")
            try expectRefusal(
                ["import", "\(folder)/student.safetensors", "--out", out], status: 65,
                saying: "no teacher and no autoencoder in", "only student")
            try expectRefusal(
                ["import", "\(folder)/student.safetensors", "--teacher-only", "--out", out], status: 65,
                saying: "no teacher in")
            try expectRefusal(
                ["import", "\(folder)/teacher.safetensors", "--good", folder, "--out", out], status: 65,
                saying: "no student and no autoencoder in")
            #expect(!directory.exists("m.safetensors"))
        }

        @Test func unusableFilesAreNamedWithWhatToDo() throws {
            let directory = try TemporaryDirectory()
            let out = directory.file("m.safetensors")
            let golden = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "ArchiveTests/Golden").path
            for (name, words) in [
                ("attack.pt", "'posix.system'"), ("legacy.pt", "before version 1.6"),
                ("nelson1425_teacher_final.pth", "shape [2, 3, 4, 4] and needs [128, 3, 4, 4]"),
                ("make_checkpoints.py", "no file of torch.save"),
            ] {
                try expectRefusal(["import", "\(golden)/\(name)", "--out", out], status: 65, saying: name, words)
            }
            try expectRefusal(["import", directory.file("absent.pth"), "--out", out], status: 66, saying: "absent.pth")
            try expectRefusal(
                ["import", try Self.model(), "--out", directory.file("absent/m.safetensors")], status: 73,
                saying: "cannot write")
            try expectRefusal(["export", out, "--format", "puad", "--out", "x"], status: 66, saying: "m.safetensors")
            let file = try directory.write(Data(), to: "file")
            try expectRefusal(
                ["export", try Self.model(), "--format", "puad", "--out", "\(file)/x"], status: 73, saying: "file")
        }

        @Test(arguments: [
            (["import", "--out", "y"], "file-or-folder"),
            (["import", "x"], "--out"),
            (["import", "x", "--out", "y", "--format", "onnx"], "onnx"),
            (["import", "x", "--out", "y", "--good", "z", "--teacher-only"], "not both"),
            (["import", "x", "--out", "y", "--region", "0,0,2,2"], "give --good"),
            (["import", "x", "--out", "y", "--seed", "7"], "give --good"),
            (["import", "x", "--out", "y", "--strict"], "give --good"),
            (["import", "x", "--out", "y", "--good", "z", "--false-reject-budget", "1"], "between 0 and 1"),
            (["import", "x", "--out", "y", "--threads", "0"], "1 to 256"),
            (["export", "x", "--out", "y"], "--format"),
            (["export", "x", "--format", "safetensors", "--out", "y"], "end in .safetensors"),
        ])
        func wrongUseIsExplained(_ arguments: [String], words: String) throws {
            try expectRefusal(arguments, status: 64, saying: words, "Usage: beltwatch")
        }

        @Test(arguments: ["import", "export"])
        func everyExampleIsUnderstood(_ command: String) throws {
            let help = try beltwatch(command, "--help").output.replacing(/\\\n\s+/, with: " ")
            let examples = help.split(separator: "\n").map { $0.drop { $0 == " " } }
                .filter { $0.hasPrefix("beltwatch \(command) ") }
            #expect(examples.count >= 3)
            let nowhere = try TemporaryDirectory()
            for example in examples {
                let arguments = example.split(separator: " ").dropFirst().map(String.init)
                // Nothing that it names exists, which is another matter than not being understood.
                let result = try RunningCommand(arguments, in: nowhere.path).result()
                #expect(result.status == 66, "\(example): \(result.errors)")
            }
        }
    }
}
