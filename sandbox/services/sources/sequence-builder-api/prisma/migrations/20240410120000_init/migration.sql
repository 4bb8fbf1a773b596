-- CreateTable
CREATE TABLE "sequences" (
    "code" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    CONSTRAINT "sequences_pkey" PRIMARY KEY ("code")
);

-- CreateTable
CREATE TABLE "sequence_steps" (
    "sequence_code" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "action" TEXT NOT NULL,
    CONSTRAINT "sequence_steps_pkey" PRIMARY KEY ("sequence_code", "position"),
    CONSTRAINT "sequence_steps_sequence_code_fkey" FOREIGN KEY ("sequence_code") REFERENCES "sequences"("code") ON DELETE CASCADE
);
