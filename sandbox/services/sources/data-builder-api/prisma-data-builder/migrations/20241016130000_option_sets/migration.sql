-- CreateTable
CREATE TABLE "option_sets" (
    "code" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    "options" JSONB NOT NULL,
    CONSTRAINT "option_sets_pkey" PRIMARY KEY ("code")
);

-- AlterTable
ALTER TABLE "tags" ADD COLUMN "color" TEXT NOT NULL DEFAULT 'grey';
